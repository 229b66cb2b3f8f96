"""United States: the FTC on free, guarantees, proof, endorsements and former prices."""

from __future__ import annotations

from workers.core.guardrails.packs.common import FREE, GUARANTEE
from workers.core.guardrails.packs.rules import Pack, PriceRule, Rule

FTC = Pack(
    id="us_ftc",
    title="United States: FTC guides",
    rules=(
        Rule(
            id="free",
            patterns=FREE,
            reason="free requires its terms to be stated at the outset: the facts must state it",
            source="16 CFR 251.1 (Guide concerning use of the word free)",
            unless_stated=True,
        ),
        Rule(
            id="guarantee",
            patterns=GUARANTEE,
            reason="a guarantee is a promise with terms: the facts must state it",
            source="16 CFR Part 239 (Guides for the advertising of warranties and guarantees)",
            unless_stated=True,
        ),
        Rule(
            id="proof",
            patterns={
                "zh": r"科学证明|科学证实|实验(?:证明|证实)|研究(?:表明|证明|证实)|临床(?:证明|验证|试验)",
                "en": r"(?:clinically|scientifically|medically) (?:proven|tested|shown)|proven to|lab(?:oratory)?[- ]tested"
                r"|(?:tests|studies|research|science) (?:prove|show|confirm)s?|backed by science|experts agree",
            },
            reason="a claim of proof needs that proof: the facts must state it",
            source="FTC Act, section 5; Health Products Compliance Guidance (FTC, 2022)",
            unless_stated=True,
        ),
        Rule(
            id="endorsement",
            patterns={
                "zh": r"(?:用户|顾客|客户)(?:都|一致)?(?:好评|喜爱|推荐)|五星好评|好评如潮",
                "en": r"(?:customers|users|people|everyone|runners|experts) (?:love|rave|agree|recommend)s?|(?:five|5)[- ]star"
                r"|top[- ]rated|highly rated|rave reviews|(?:thousands|millions) of (?:happy )?(?:customers|users)",
            },
            reason="endorsements must be genuine and typical: the facts must state it",
            source="16 CFR Part 255 (Endorsement Guides); 16 CFR Part 465 (consumer reviews)",
            unless_stated=True,
        ),
        Rule(
            id="origin",
            patterns={
                "zh": r"美国(?:制造|原产)",
                "en": r"made in (?:the )?(?:usa|u\.s\.a?|us|america)|american[- ]made",
            },
            reason="an unqualified US origin claim needs all or nearly all of the product to be made there",
            source="16 CFR Part 323 (Made in USA labeling)",
            unless_stated=True,
        ),
    ),
    prices=PriceRule(
        reason="a former price must be one at which the product was actually offered",
        source="16 CFR 233.1 (Guides against deceptive pricing)",
        states_prior=False,
    ),
)
