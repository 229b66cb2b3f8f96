"""Word patterns that the laws of several places share: language → pattern, as in Rule."""

from __future__ import annotations

FREE = {
    "zh": r"免费|白送|赠送|零元",
    "en": r"(?:absolutely|completely|totally) free|for free|free of charge|free with|at no (?:extra "
    r"|additional )?(?:cost|charge)"
    r"|free (?:gift|trial|sample|bonus|strap|case|shipping|delivery|returns?)",
}
GUARANTEE = {
    "zh": r"保证|包退|无效退款",
    "en": r"guarantee[sd]?|money[- ]back|risk[- ]free|lifetime warranty",
}
