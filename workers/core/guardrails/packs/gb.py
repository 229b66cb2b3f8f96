"""United Kingdom: the CAP Code on free, guarantees, rank and was/now prices."""

from __future__ import annotations

from workers.core.guardrails.packs.common import FREE, GUARANTEE
from workers.core.guardrails.packs.rules import Pack, PriceRule, Rule

_CODE = "CAP Code (UK, edition 12), section 3"

CAP = Pack(
    id="gb_cap",
    title="United Kingdom: CAP Code",
    rules=(
        Rule(
            id="free",
            patterns=FREE,
            reason="free means that only delivery is paid for, on known terms: the facts must state it",
            source=f"{_CODE}, rules 3.23 to 3.26",
            unless_stated=True,
        ),
        Rule(
            id="guarantee",
            patterns=GUARANTEE,
            reason="a guarantee needs terms that the customer can obtain: the facts must state it",
            source=f"{_CODE}, rules 3.53 to 3.55",
            unless_stated=True,
        ),
        Rule(
            id="rank",
            patterns={
                "zh": r"销量第一|第一品牌|领导品牌|最畅销|最受欢迎",
                "en": r"(?:number|no\.?) ?(?:one|1)|#1|(?:market|britain's|uk's|world's) (?:leading|leader|best|favou?rite)"
                r"|leading brand|best[- ]selling|most popular|award[- ]winning|voted",
            },
            reason="a rank is a claim that needs evidence: the facts must state it",
            source=f"{_CODE}, rules 3.7 and 3.33",
            unless_stated=True,
        ),
    ),
    prices=PriceRule(
        reason="a saving is true only against the price that was actually charged, and the text must state that price",
        source=f"{_CODE}, rules 3.17, 3.39 and 3.40",
        states_prior=True,
    ),
)
