"""Checks the markets and the voice of policy.yaml: regions, rule packs, labels, defaults, words."""

from __future__ import annotations

from workers.adapters.playbook.checks.findings import reference, texts, unique
from workers.adapters.playbook.documents.parts import PolicyFile
from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath
from workers.core.guardrails.packs import PACKS
from workers.core.playbook.policy import Market

#: ISO 3166-1 alpha-2, as of 2024; a locale's region may also be a UN M.49 number, which is not validated.
_COUNTRIES = (
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF"
    " CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH"
    " GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW"
    " KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG"
    " NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN"
    " SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT"
    " ZA ZM ZW"
)
_MEANT = {"UK": "GB", "EL": "GR"}


def check(document: Document, policy: PolicyFile) -> None:
    """Adds its findings to the document's problems."""
    markets = [market.id for market in policy.markets]
    unique(document, ("markets",), markets, "id", "id")
    first: dict[str, str] = {}
    for index, market in enumerate(policy.markets):
        path: FieldPath = ("markets", index)
        _regions(document, (*path, "regions"), market, first)
        if not market.regions and market.id not in policy.default_market.values():
            document.report((*path, "regions"), "is empty, and no `default_market` names it", "country codes (CN, GB)")
        unique(document, (*path, "rule_packs"), market.rule_packs, "rule pack")
        for number, pack in enumerate(market.rule_packs):
            reference(document, (*path, "rule_packs", number), "rule pack", pack, PACKS)
        _label(document, path, market, policy)
    _defaults(document, policy, markets)
    texts(document, ("voice", "hint"), policy.voice.hint, policy.languages, required=False)
    unique(document, ("voice", "avoid"), policy.voice.avoid, "word")


def _regions(document: Document, path: FieldPath, market: Market, first: dict[str, str]) -> None:
    for number, region in enumerate(market.regions):
        if region in first:
            document.report(
                (*path, number),
                f"region `{region}` is also in the market `{first[region]}`",
                "one market for each region",
            )
        elif region.isalpha() and region not in _COUNTRIES.split():
            meant = f" (did you mean `{_MEANT[region]}`?)" if region in _MEANT else ""
            document.report(
                (*path, number),
                f"`{region}` is not a country code{meant}",
                "codes of ISO 3166-1; list each country of a union",
            )
        first.setdefault(region, market.id)


def _label(document: Document, path: FieldPath, market: Market, policy: PolicyFile) -> None:
    for language, label in market.ai_label.items():
        reference(document, (*path, "ai_label", language), "language", language, policy.languages)
        if not label.strip():
            document.report((*path, "ai_label", language), "is empty", "text")
    if not market.ai_label_required:
        return
    labels = policy.ai_label | market.ai_label
    if missing := [language for language in policy.languages if not labels.get(language, "").strip()]:
        document.report(
            (*path, "ai_label_required"),
            f"there is no `ai_label` in {', '.join(missing)}, and the market `{market.id}` requires one",
            "`ai_label` of the market or of the policy, in " + ", ".join(policy.languages),
        )


def _defaults(document: Document, policy: PolicyFile, markets: list[str]) -> None:
    for language, market in policy.default_market.items():
        reference(document, ("default_market", language), "language", language, policy.languages)
        reference(document, ("default_market", language), "market", market, markets)
    if policy.markets and (
        missing := [language for language in policy.languages if language not in policy.default_market]
    ):
        document.report(
            ("default_market",), f"{', '.join(missing)} is missing", "a market for " + ", ".join(policy.languages)
        )
