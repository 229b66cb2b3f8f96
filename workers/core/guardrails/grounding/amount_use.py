"""Finds a correct number used wrongly: attached to another fact, as a lower bound, or as a charging time."""

from __future__ import annotations

import re

#: The clause is searched this far on each side of an amount [characters].
LONGEST_CLAUSE = 300
_CLAUSE_END = re.compile(r"[,，。.!！?？;；:：\n](?!\d)")
_POWER = re.compile(r"batter|charg|power|last|\bruns?\b|\bgo(?:es)?\b|music|song|listen|play|续|电|充|用|撑|够|听|播")
#: Words for other facts, which have no running time.
_OTHER = re.compile(
    r"sle(?:ep|pt)|heart|pulse|workout|training|session|noise|silence|quiet|signal|connect|睡|心率|心跳|脉搏|运动"
    r"|训练|锻炼|降噪|噪|信号|连接"
)
_MORE_BEFORE = re.compile(
    r"(?:\b(?:over|more than|at least|above|beyond|past|exceed\w*|upwards? of|no less than|not less than|longer than"
    r"|minimum(?: of)?"
    r"|greater than|guaranteed|always)|超过|至少|不少于|不低于|大于|起码|远超|超出|超|不止)\s*(?:the |a |an |full )*$"
)
_MORE_AFTER = re.compile(
    r"^\s*(?:\+|or (?:more|longer|beyond)|plus\b|and (?:more|longer|beyond|counting|then some)|以上|之上|开外|多"
    r"|有余|不止|打底|起(?![来床步点]))"
)
_MORE_WITHIN = re.compile(r"[多余]")
_CHARGING_BEFORE = re.compile(
    r"(?:charg\w{1,20} (?:time (?:of|is) |takes |in |within |after |needs )|charg(?:ing|es|ed) )(?:just |only |about "
    r"|around |under |as little as |less than )*$"
    r"|充电(?:时间|用时|时长|过程|一次)?(?:只需|仅需|只要|仅要|只用|需要|需|要|约|大约|仅)?\s*$"
)
_CHARGING_AFTER = re.compile(
    r"^\s*(?:(?:is|are) (?:all|enough)[^,.]*charg|(?:of )?(?:re)?charging time|(?:to|until"
    r"|for) (?:\w+ ){0,3}(?:re)?charged?\b"
    r"|(?:就|即|便|可|能|内|之内|以内|后|就可以|可以)*(?:充满|充好|充饱|满电|满格|回满))"
)


def misused(text: str, written: str, start: int, stated: str) -> str | None:
    """Returns the words that give the amount at `start` a meaning which the facts that state it (`stated`, "" = price, name,
    quantity) do not support; None = it is used as stated.
    """
    if not stated:
        return None
    end = start + len(written)
    first, last = max(0, start - LONGEST_CLAUSE), end + LONGEST_CLAUSE
    before = max((match.end() for match in _CLAUSE_END.finditer(text, first, start)), default=first)
    after = _CLAUSE_END.search(text, end, last)
    clause = text[before : after.start() if after else last]
    preceding, following = text[before:start], text[end : after.start() if after else last]
    for pattern, part in (
        (_MORE_BEFORE, preceding),
        (_MORE_AFTER, following),
        (_MORE_WITHIN, written),
        (_CHARGING_BEFORE, preceding),
        (_CHARGING_AFTER, following),
    ):
        if (found := pattern.search(part)) and pattern.search(stated) is None:
            return found.group().strip()
    if _POWER.search(stated) and not _OTHER.search(stated) and not _POWER.search(clause):
        return found.group() if (found := _OTHER.search(clause)) else None
    return None
