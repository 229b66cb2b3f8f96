"""Rejects texts that ask for money or credentials, or report the state of an account, an order or a payment.

A marketing message does none of this, and a text that does reads like fraud. The rules hold for every product, with facts or
without.
"""

from __future__ import annotations

from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.matching.pattern_table import PatternTable

PAYMENT = PatternTable.of(
    r"\bpayments? (?:\w{1,12} ){0,4}(?:could not|couldn't|did not|was not|has not)\b|\bpayments? (?:failed"
    r"|declined|due|overdue|pending|is|was|could|did|has|had|have|needs?"
    r"|problems?|issues?|details|methods?|info\w{0,10}|data|reminder)\b"
    r"|\b(?:card|payment|transaction) (?:was |has been |is |got )?(?:declined|rejected|refused"
    r"|expired|expiring|blocked)\b"
    r"|\b(?:confirm|verify|update|re-?enter|enter|provide|submit|check|complete|send)(?:ing)? (?:\w{1,12} ){0,3}(?:payments?"
    r"|billing|(?:credit |debit |bank )?card (?:details|data|number|information)|bank (?:account|card|details|data)|cvv|cvc"
    r"|iban|pin code)\b"
    r"|\b(?:outstanding|unpaid|overdue) (?:\w{1,12} )?(?:balance|amount|payment|invoice|bill"
    r"|fee|order)\b"
    r"|\bpay (?:now|here|immediately|within|before|online|securely"
    r"|(?:the|a|an|your|us) (?!visit|a visit|attention|cart|basket))\b"
    r"|\b(?:transfer|wire|send) (?:us |the |your )?(?:money|funds|amount|deposit|payment)\b"
    r"|\b(?:credit card|debit card|bank|billing|payment) (?:details|number|information|account|statement)\b"
    r"|\bcustoms (?:fee|duty|charge)\b"
    r"|\byou(?:'ve been| have been| were| will be| are being) (?:charged|billed|debited)\b"
    r"|\bwe(?:'ve| have)? (?:charged|billed|debited) (?:you|your)\b"
    r"|(?:支付|付款|扣款|扣费|银行卡|信用卡|账单|尾款|定金|手续费|关税)[^,。!?]{0,10}(?:失败"
    r"|异常|未成功|不成功|未完成|信息|确认|核对|核实|验证|逾期|被拒|待|到期)"
    r"|(?:确认|核对|核实|验证|补交|补齐|补缴|更新|重新(?:输入|填写|绑定)|输入|填写|完善|提供"
    r"|尽快|立即|马上|请)[^,。!?]{0,8}(?:支付|付款|银行卡|信用卡|卡号|账单|缴费|尾款|定金)"
    r"|扣款|扣费|欠费|欠款|逾期|转账|汇款|未付款|待付款|\bcvv\b"
)
ACCOUNT = PatternTable.of(
    r"\b(?:verify|verifying|confirm|validate|unlock|reactivate|restore|secure|update|upgrade) (?:\w{1,12} ){0,2}(?:accounts?"
    r"|identity|profile|log-?in|sign-?in|e-?mail|membership|credentials|details)\b"
    r"|\byour (?:\w{1,12} )?(?:account|profile|membership|login)\b[^.!?]{0,40}\b(?:suspend|clos(?:e|ed|ing)"
    r"|lock|block|delet|deactivat|terminat|restrict|limited|at risk|expir|compromis|unusual"
    r"|frozen|freez|cancel|on hold|verif)"
    r"|\b(?:suspend|clos(?:e|ing)|lock|block|delet|deactivat|terminat|freez)\w{0,5} (?:your "
    r"|the |this )?(?:account|profile|membership)\b"
    r"|\blog ?in (?:now|within|again|to (?:keep|avoid|verify|confirm|unlock|restore|save))\b"
    r"|\b(?:unusual|suspicious) (?:activity|sign|log|access)"
    r"|\bsecurity (?:alert|check|notice|warning|update|team|code)\b|\bone-?time (?:code|passcode"
    r"|password)\b|\bkeep your (?:account|membership|points)\b"
    r"|(?:账[户号]|帐[户号]|会员资格|会员身份|登录)[^,。!?]{0,12}(?:异常|冻结|停用|注销|关闭"
    r"|封|锁|过期|失效|清零|风险|受限|限制|安全|验证|认证|核验|删除|降级)"
    r"|(?:验证|认证|核实|激活|解冻|解锁|核验|确认|保住|保留)[^,。!?]{0,6}(?:账[户号]|帐[户号]|身份|实名|登录|会员资格)"
    r"|异常登录|(?:账[户号]|帐[户号]|支付)安全|安全(?:警告|验证)|实名认证|(?:积分|余额)[^,。!?]{0,6}(?:清零|失效|过期|冻结)"
)
ORDER_STATE = PatternTable.of(
    r"\b(?:your|the|this) (?:order|parcel|package|shipment|delivery)\b (?:\w{1,12} ){0,4}(?:shipped"
    r"|dispatched|on (?:its|the|their) way|out for delivery|delivered|arriv(?:ed|es|ing)"
    r"|held|on hold|delayed|cancelled"
    r"|canceled|failed|confirmed|processed|processing|ready (?:for|to be) (?:collect|pick)\w{0,8}"
    r"|stuck|returned|customs)\b"
    r"|\b(?:refund|return) (?:is|was|has been|request|approved|processed|pending|issued)\b"
    r"|\b(?:has|have|was|were) (?:been )?(?:shipped|dispatched|refunded)\b"
    r"|\bwe(?:'ve| have)? (?:just )?(?:shipped|dispatched|refunded|cancelled|canceled)\b"
    r"|\btrack(?:ing)? (?:your )?(?:order|parcel|package|shipment|delivery)\b|\b(?:the|our|a) courier\b(?! bag|[- ]style)"
    r"|\byour (?:order|parcel|package|shipment)\b[^.!?]{0,20}\b(?:could not|couldn't|cannot|can't|was not|wasn't)\b"
    r"|(?:订单|包裹|快件|快递|货物|货品)[^,。!?]{0,10}(?:已|待|被|正在|滞留|异常|取消|延误"
    r"|退回|在路上|派送|发出|出库|送达|到站|到达|无法|失败)"
    r"|(?:退款|退货)[^,。!?]{0,4}(?:已|成功|申请|到账|处理|审核)|已(?:经)?(?:为[您你])?(?:发货"
    r"|出库|签收|寄出)|已(?:经)?为[您你]下单|(?:正在|马上)(?:派送|出库|发货)|取件码|驿站|快递柜|运单"
)


def payment(subject: Subject) -> str | None:
    """Rejects a request to pay, or to enter or confirm payment data, and any report about a payment."""
    return _found(PAYMENT, subject, "speaks of a payment")


def account(subject: Subject) -> str | None:
    """Rejects a threat to an account, and a request to verify one."""
    return _found(ACCOUNT, subject, "speaks of the state of an account")


def order_state(subject: Subject) -> str | None:
    """Rejects a report about an order, a parcel or a refund: only the shop's own systems know their state."""
    return _found(ORDER_STATE, subject, "reports the state of an order")


def _found(patterns: PatternTable, subject: Subject, what: str) -> str | None:
    found = next(filter(None, map(patterns.search, subject.readings)), None)
    return f'"{found.group()}" {what}; a marketing message must not' if found else None
