"""Rows that the core does not pass yet, by the part that is to read them. To be emptied, and this module with it."""

from __future__ import annotations

FEEDBACK = {
    "every-null",
    "null-for-a-default",
    "seconds",
    "seconds-as-text",
    "milliseconds",
    "capitals",
    "a-capital-complaint",
}
FEEDBACK |= {"a-capital-bounce", "the-verb", "a-rating-with-decimals", "no-channel-said"}
ANSWERS = {
    "thoughts-without-a-beginning",
    "two-thoughts",
    "words-before-thoughts",
    "fence-in-one-line",
    "words-around-a-fence",
}
ANSWERS |= {"words-around", "words-behind", "the-end-of-a-turn", "the-end-of-a-turn-and-a-line", "the-end-of-a-text"}
ANSWERS |= {"stopped-at-a-token", "stopped-at-a-token-in-capitals"}
MAIL = {
    "policy-behind-a-sign",
    "syntax-of-ours",
    "umlaut",
    "umlaut-again",
    "helo-of-ours",
    "sender-not-owned",
    "sender-without-a-domain",
}
MAIL |= {"ideographic-dot", "system-full", "too-long-for-the-mailbox", "log-in-first", "no-code-of-its-own"}
CLAIMS = {"non-breaking-hyphen", "modifier-apostrophe", "price-with-a-comma", "price-with-a-space", "price-with-both"}

PENDING = frozenset(FEEDBACK | ANSWERS | MAIL | CLAIMS)
