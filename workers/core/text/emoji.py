r"""Counts the emoji of a text as a reader sees them (Unicode Technical Standard #51).

One each are: a flag, a keycap, an emoji with its skin tone, and several joined by U+200D (a family, a profession). Symbols that
Unicode shows as text (™ ☎ ❤ ▶) are emoji only before the variation selector U+FE0F, a skin tone or a joined emoji; an emoji
before U+FE0E is a text symbol. Pictures above U+FFFF are emoji without a selector too, whatever Unicode's default (🛍): most
fonts have them in colour only.

>>> [count(text) for text in ("👩🏽\u200d⚕\ufe0f", "🇩🇪", "1\ufe0f\u20e3", "👍🏽", "☎\ufe0f", "☎", "℃", "12")]
[1, 1, 1, 1, 1, 0, 0, 0]
"""

from __future__ import annotations

import re

#: emoji-data.txt of Unicode 17, below U+10000: the characters with Emoji_Presentation. New emoji are above.
_COLOURED = (
    r"\u231a\u231b\u23e9-\u23ec\u23f0\u23f3\u25fd\u25fe\u2614\u2615\u2648-\u2653\u267f\u2693\u26a1\u26aa\u26ab\u26bd\u26be"
    r"\u26c4\u26c5\u26ce\u26d4\u26ea\u26f2\u26f3\u26f5\u26fa\u26fd\u2705\u270a\u270b\u2728\u274c\u274e\u2753-\u2755\u2757"
    r"\u2795-\u2797\u27b0\u27bf\u2b1b\u2b1c\u2b50\u2b55"
)
#: Above: single tiles, cards and squared letters, then whole blocks of pictures, with room for those of later versions.
_PICTURES = (
    r"\U0001f004\U0001f0cf\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f18e\U0001f191-\U0001f19a"
    r"\U0001f201\U0001f202\U0001f21a\U0001f22f\U0001f232-\U0001f23a\U0001f250\U0001f251"
    r"\U0001f300-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7ff\U0001f90c-\U0001f9ff\U0001fa70-\U0001faff"
)
#: Ranges that hold every other character with the property Emoji, but for digits, # and *. U+FE0F follows no other symbol.
_SYMBOLS = (
    r"\xa9\xae\u203c\u2049\u2122\u2139\u2194-\u21aa\u2328-\u23ff\u24c2\u25aa-\u25fe\u2600-\u27bf\u2934\u2935\u2b05-\u2b07"
    r"\u3030\u303d\u3297\u3299"
)
_SKIN_TONES = r"\U0001f3fb-\U0001f3ff"
#: A variation selector, a skin tone, and the tags that name a region's flag.
_MODIFIED = rf"\ufe0f?[{_SKIN_TONES}]?[\U000e0020-\U000e007f]*+"
_ANY = f"[{_COLOURED}{_PICTURES}{_SYMBOLS}]"
_EMOJI = re.compile(
    rf"(?:[{_COLOURED}{_PICTURES}](?!\ufe0e)|[{_SYMBOLS}](?=[\ufe0f{_SKIN_TONES}]|\u200d{_ANY}))"
    rf"{_MODIFIED}(?:\u200d{_ANY}{_MODIFIED})*+"
    r"|[\U0001f1e6-\U0001f1ff]{1,2}"
    r"|[0-9#*]\ufe0f?\u20e3"
)


def count(text: str) -> int:
    """Returns the number of emoji, in time linear in the text. It must be as written: NFKC makes other characters of some."""
    return 0 if text.isascii() else sum(1 for _ in _EMOJI.finditer(text))
