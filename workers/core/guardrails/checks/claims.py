"""Rejects claims the facts do not state: features, measurements, services, popularity and effects."""

from __future__ import annotations

from workers.core.guardrails.grounding.concepts import Concepts
from workers.core.guardrails.grounding.overstated import OVERSTATED
from workers.core.guardrails.grounding.subject import Subject

_SPORTS = (
    "soccer|football|basketball|tennis|badminton|baseball|golf|rowing|skiing|boxing|dancing|hiking|climbing"
    "|cycling|bik(?:e|es|ing)"
)
_SPORTS_HAN = "足球|篮球|网球|羽毛球|乒乓球|排球|高尔夫|滑雪|划船|拳击|登山|瑜伽|骑行|骑车|单车"

CLAIMS = Concepts(
    {
        # Features that some products have: allowed only if this product's facts state them.
        "heart rate": r"heart[- ]?rate|heartbeat|心率|心跳",
        "sleep tracking": r"sleep[- ](?:track|monitor|quality|data|pattern|stage|analy|insight)"
        r"|track\w* your sleep|睡眠",
        "workout tracking": r"(?:workout|activity|fitness|exercise)[- ](?:track|record|log)\w*"
        r"|(?:track|record|log)s? (?:your |every |each |all )*(?:workouts?|exercises?|training|runs?)\b"
        r"|运动(?:记录|数据|监测|追踪|模式)",
        "noise cancellation": r"noise[- ]?(?:cancel|reduc|isolat|block)\w*|\banc\b|降噪|隔音",
        "Bluetooth": r"bluetooth|蓝牙",
        "battery": r"batter(?:y|ies)|\bmah\b|续航|电池|电量",
        "standby": r"\bstand-?by\b|待机",
        # Features that no facts state.
        "water resistance": r"water[- ]?(?:proof|resist|repell)\w*|sweat[- ]?(?:proof|resist)\w*|\bipx?\d|防水"
        "|防汗|防尘|防泼",
        "weather": r"\b(?:keeps?|holds?) (?:the )?(?:sweat|rain|water|dust) (?:off|out|away)\b|\b(?:in|under"
        r"|through|despite|against|from|by|afraid of) (?:the |any |heavy |pouring )?(?:rain"
        r"|water|dust)\b"
        r"|stands? up to (?:\w+ )?(?:sweat|weather)|不怕|无惧|防(?:雨|潮|摔|震|晒|滑|刮|污|菌|丢|过敏)|淋雨|水洗"
        r"|沾水",
        "swimming": r"\bswim\w*|游泳|泳池",
        "running mode": r"running (?:mode|track|data)\w*|track\w* (?:your |every |each )?(?:runs?|running)\b"
        r"|跑步(?:模式|记录|监测|追踪|数据)|(?:记录|监测|追踪)[^,。!?]{0,6}跑步",
        "kinds of sport": rf"(?:track|record|log|monitor|measur|count|know"
        rf"|recogni)\w{{0,9}}[^,.;!?]{{0,24}}\b(?:{_SPORTS})\b|\b(?:{_SPORTS}) (?:mode|track|record|data)"
        rf"|(?:记录|监测|追踪|识别|支持|懂)[^,。!?]{{0,8}}(?:{_SPORTS_HAN})|(?:{_SPORTS_HAN})(?:模式|记录|监测|数据)",
        "steps": r"step[- ]count\w*|count\w* (?:your |every )?steps?|pedometer|计步|步数",
        "calories": r"\bcalor(?:ie|ies)\b|卡路里|热量|燃脂",
        "location": r"\bgps\b|navigation|定位|导航",
        "blood values": r"blood[- ](?:oxygen|pressure|sugar|glucose)|\bspo2\b|\becg\b|electrocardiogram|血氧|血压"
        "|血糖|心电|体温",
        "stress tracking": r"stress (?:monitor|track|level)\w*|压力(?:监测|检测|水平)",
        "coaching": r"training plan|personal (?:coach|trainer)|\bcoaching\b|训练计划|私人教练|健身指导|专业指导",
        "charging": r"(?:fast|quick|wireless|rapid)[- ]charg\w*|charg\w* (?:case|in )|快充|闪充|无线充电|充电(?:盒"
        r"|仓)",
        "calls": r"(?:phone|voice|video|clear|hands-free|conference) calls?|call quality|take calls|microphone"
        r"|\bmics?\b"
        r"|通话|麦克风|接听|来电",
        "notifications": r"notifications?|消息提醒|来信提醒|震动提醒"
        r"|(?:shows?|reads?|receiv\w+|gets?|checks?|answers?|sees?) (?:your |incoming |new |all )*(?:messages?"
        r"|e-?mails?|texts?)\b"
        r"|(?:看|查看|收|接收|回复|读)[^,。!?]{0,3}(?:消息|短信|邮件|微信)",
        "clock": r"(?:shows?|tells?|reads?) (?:you )?the time\b|(?:看|显示)(?:一下)?时间",
        "storing data": r"(?:保存|存储|储存|同步|上传|导出|备份)[^,。!?]{0,4}(?:数据|记录)",
        "display": r"touch ?screen|\bdisplay\b|\bamoled\b|\boled\b|\bscreen\b|屏幕|显示屏|表盘|触屏",
        "controls": r"touch controls?|voice (?:assistant|control)|\bsiri\b|\balexa\b|触控|语音(?:助手|控制)",
        "audio format": r"hi[- ]?res\b|hi[- ]?fi\b|lossless|surround(?!s|ed|ing)|spatial|3d (?:audio|sound)|\bbass\b"
        r"|环绕"
        "|立体声|低音|无损|空间音频",
        "compatibility": r"compatible|\bios\b|\bandroid\b|\biphone\b|兼容|安卓|苹果手机",
        "application": r"\b(?:mobile|companion|our|the) app\b|手机应用|\bapp\b",
        "payment": r"\bnfc\b|contactless pay\w*|移动支付|公交卡",
        "material": r"\bleather\b|silicone|stainless|titanium|alumini?um|\bmetal\b|ceramic|皮革|真皮|皮质|硅胶"
        "|不锈钢|钛|铝合金|陶瓷",
        "weight": r"\b(?:so|such a) light\b|like wearing nothing|forget (?:that )?(?:you are|you're) wearing"
        r"|forget (?:it is|it's|they are"
        r"|they're) there"
        r"|(?:barely|hardly) (?:feel|notice)|(?:像|如同|好像|仿佛|感觉)没(?:戴|带)|感觉不到它|light[- ]?weight"
        r"|feather[- ]?light|ultra[- ]?light|轻盈|轻量|轻便|轻巧|超轻",
        "care": r"dishwasher|machine[- ]?wash\w*|(?:like|as|good as) new\b|机洗",
        "indicator": r"\b(?:lights?|leds?) (?:tells?|shows?|says?|glows?|blinks?|lets? you)\b|指示灯",
        "assistant": r"\bask (?:it|them) (?:for|to|about)\b",
        "durability": r"\bdurab\w+|scratch[- ]?(?:proof|resist)\w*|耐用|耐磨|坚固|抗摔",
        "colours": r"(?:range|variety|choice) of colou?rs|available in \w+ colou?rs|多种颜色|多色可选|多款配色",
        # Services of the shop.
        "warranty": r"warrant(?:y|ies)|money[- ]back|guarante\w+|保修|质保|包换|包退|退换|退货|退款|refund"
        "|return policy",
        "delivery": r"shipping|\bdeliver(?:y|ed|s)\b|(?:yours|here|there|home|with you|in your hands|at your door\w*)"
        r" (?:by |on |before |within |as early as )?(?:today|tomorrow|tonight|monday|tuesday|wednesday|thursday"
        r"|friday|saturday|sunday|the weekend|the end of)"
        r"|\b(?:order|buy|pay)\w*\b[^.!?]{0,60}\b(?:today|tonight|tomorrow)\b"
        r"|[当次隔](?:日|天)达|(?:今天|今日|明天|明日|后天|当天|次日|隔天|周[一二三四五六日末])[^,。!?]{0,3}(?:(?:就"
        r"|能|即|便)(?:到(?!了|来|期|处)|送)|送到|到手|到货|收到|拿到|发货|寄)|发货|送达|配送|快递|物流",
        # Ratings, reviews and popularity.
        "rating": r"\bout of (?:5|five|10|ten)\b|\b\d(?:\.\d)?/(?:5|10)\b|满分|[评打]分|\d分",
        "popularity": r"ask\w* for (?:it |them )?by name|best[- ]?sell\w*|top[- ]rated|award|\d[- ]star"
        r"|customers? (?:love|rave|say)"
        "|everyone (?:loves|is)"
        r"|(?:thousands|millions|hundreds) of|(?:loved|liked|trusted|chosen|praised|recommended|worn|favou?red"
        r"|picked) by (?!you)"
        r"|(?:people|customers?|users?|runners|athletes|commuters|listeners|fans|reviewers|experts|pros|friends"
        r"|colleagues|others)"
        r" (?:already |really |just |all |also )*(?:love|like|choose|trust|prefer|praise|swear|agree|use|wear|buy"
        r"|pick|own|talk|ask)\b"
        r"|(?:neighbou?rs?|friends?|colleagues?|people|runners?|athletes?|coach(?:es)?|teams?|others"
        r"|half the \w+)(?: (?:already|probably|all|now|have|also|really|just))*"
        r" (?:wears?|has|have|owns?|uses?|loves?|wants?|got) (?:it|one|them|these|theirs)\b|short time only|(?:for"
        r"|only) a (?:short|limited) time"
        r"|(?:customer|crowd|fan|reader|office|family)(?:'s)? favou?rite|favou?rite (?:of|among|with|in|for)\b"
        r"|talk of the|of the year"
        r"|人手一|[^,。!?]{1,6}都在(?:用|戴|听|买|选)|人气|同款|网友|街拍|口口相传|(?:邻居|家人|闺蜜|室友"
        r"|同学)[^,。!?]{0,4}都(?:在|有|问|夸|说|想|戴|用"
        r"|买)|(?:大家|人人|很多人|不少人|许多人|身边人|同事(?:们|看了)?|朋友(?:们|看了)?|年轻人|他们|她们|跑者"
        r"|达人)(?:都|也)?(?:问|在(?:用|戴|听|买|看|选)|说|爱|夸|喜欢|推荐|点赞|选择|认可)"
        r"|热销|畅销|爆款|口碑|好评|获奖|明星同款|网红|万人|销量",
        "approval": r"certifi\w+|\bfda\b|\bpatent\w*|approved by|recommended by|doctor|认证|专利|医生|专家推荐"
        "|官方推荐",
        "comparison": r"better than|\bbeats?\b[^.!?]{0,20}\b(?:any|all|every|those|others?|rivals?)\b"
        r"|more \w+ than (?:any|other)|than ever|unlike other|twice (?:as|the)|(?:double"
        "|triple|half) the"
        r"|(?:like|than) no other|(?:ahead|unlike|instead) of (?:other|the rest)|second to none|in a class"
        r"|outperform\w*|优于|胜过|超越同|比其他|吊打|秒杀",
        "accuracy": r"\baccura\w+|\bprecis(?:e|ely|ion)\b|精准|精确|准确",
        # Effects on a person.
        "health effect": r"(?:improv|boost|enhanc|better)\w* (?:your )?(?:overall )?(?:health|sleep|heart|immun"
        "|well-?being|posture)"
        r"|(?:reduc|lower|reliev)\w* (?:your )?(?:stress|anxiety|pain|fatigue|blood)|los(?:e|ing) weight"
        r"|weight loss|burn\w* fat"
        r"|keeps? you (?:healthy|fit|well|safe|young|awake|calm|balanced|going)|good for (?:your |the )?(?:health"
        r"|heart|sleep|ears?|back|body|mind|skin)"
        r"|(?:stay|stays|get|feel|feeling|live) (?:healthy|fit|young|well)\b|helps? (?:you "
        r"|your \w+ )?(?:to )?(?:sleep|rest|relax|recover|breathe|unwind|wake|fall"
        r"|concentrate better|run|train|move|grow|live|focus better|forget|remember|stay)\b|(?:sleep|rest)s? (?:well"
        r"|like|deep|tight)"
        r"|(?:makes?|lets?) you (?:sleep|rest|relax|run|move|feel|stay|forget|grow|live|focus)\b"
        r"|(?:帮|助|让|使|令|替)(?:你|您|人|助你|助您)?[^,。!?]{0,3}(?:睡(?:个|得(?:好|香|着|更|安)|好|着|眠好)|入睡"
        r"|安睡|好眠|安眠|熟睡|恢复(?:得|体力)|健康)"
        r"|(?:睡得|睡)(?:更|越|香|踏实|安稳|安心)|睡个(?:好觉|安稳)|(?:一觉|一夜)(?:好眠|到天亮|安眠|安睡)|(?:加快"
        r"|促进|加速)[^,。!?]{0,3}恢复"
        r"|(?:身体|状态|精神)[^,。!?]{0,3}(?:越来越|变)好|更(?:健康|年轻|强壮|精神)|对(?:身体|心脏|睡眠|耳朵|健康)好"
        r"|改善(?:睡眠|健康|体质)|助眠|减肥|瘦身|缓解(?:疲劳|压力|疼痛)|降低(?:血压|风险)|预防|增强(?:免疫|体质)",
    },
    grounded_by={
        "compatibility": r"compatible|made for|fits? |适配|兼容",
        "battery": r"batter|charg|续航|电",
    },
)


def claims(subject: Subject) -> str | None:
    """Rejects a feature, service, opinion or effect that the product's facts do not state.

    Where a claim checker judges the sentences, exaggeration is no veto, but evidence (`overstated`).
    """
    return _ungrounded(CLAIMS, subject) or (None if subject.is_judged else overstated(subject))


def overstated(subject: Subject) -> str | None:
    """Returns what is wrong with the first exaggeration that the product's facts do not state."""
    return _ungrounded(OVERSTATED, subject)


def _ungrounded(table: Concepts, subject: Subject) -> str | None:
    found = table.ungrounded(subject.text, subject.grounds)
    return f'"{found[1]}" ({found[0]}) is not in the product facts' if found else None
