"""Interprets a mail server's reply: whether it concerns the address, this message, or every message. Pure.

A hard bounce ends all mail to a customer, so only a reply that states that the mailbox itself does not exist, or is closed,
counts as one (RFC 3463 and the registry of RFC 5248). A reply about our side (server name, login, reputation) never does:
otherwise a mistake in our set-up would cut off every customer it affects.
"""

from __future__ import annotations

import re

from workers.delivery.ports import Bounced, Failed, Later, Result

#: An enhanced code at the start of a line, or marked by `#` or brackets as in Barracuda, IronPort and qmail; never a bare
#: number in a sentence, which may be an IP address or a version.
_ENHANCED = re.compile(r"(?:^[^\S\n]*+#?|[#(\[])([245]\.\d{1,3}\.\d{1,3})(?![.\d])", re.MULTILINE)
#: Codes without specific meaning: the text of the reply decides.
_UNSPECIFIC = ("", "5.0.0", "5.1.0", "5.2.0", "5.5.0")
#: No such mailbox, invalid address, moved, a domain that accepts no mail (null MX).
_NO_MAILBOX_CODES = ("5.1.1", "5.1.3", "5.1.6", "5.1.10")
#: Codes about our sender address, the server's own state, the order of our commands, or our login.
_SERVER = ("5.1.7", "5.1.8", "5.3.2", "5.3.5", "5.5.1", "5.7.0", "5.7.3", *(f"5.7.{detail}" for detail in range(8, 15)))
_SERVER_CODES = (421, 454, 502, 503, 504, 521, 523, 525, 530, 534, 535, 538)
#: Codes of RFC 5321 about a mailbox, for replies without a code of RFC 3463.
_MAILBOX_CODES = (550, 551, 553)
#: Quoted addresses and links in a reply, which do not affect its meaning.
_QUOTED = re.compile(r"<[^<>]*>|\S{1,64}@\S+|https?://\S+")
_OUR_SIDE = re.compile(
    r"client (?:host|address|ip)|\b(?:helo|ehlo)\b|starttls|\bauthenticat|\blog ?in\b|reverse dns|\bptr\b"
    r"|sender (?:address|verif|domain|reject|den|unknown|invalid|not)|(?:invalid|unknown|unauthori[sz]ed) sender"
    r"|return[- ]path|mail from|from address|bad sequence"
    r"|relay(?:ing)?(?: access)? (?:is )?(?:den|not|proh)|(?:unable|allowed|permitted|authori[sz]ed) to relay|rcpthosts"
)
_NO_MAILBOX = re.compile(
    r"no such|no mailbox|(?:unknown|invalid) (?:user|mailbox|recipient|address|local)"
    r"|(?:user|mailbox|recipient|account|address|alias)\b[^.;]{0,40}"
    r"(?:unknown|not found|unavailable|invalid|not exist|n't exist|disabled|inactive|discontinued|no longer|name not allowed)"
)
_POLICY = re.compile(
    r"spam|junk|polic|block|black ?list|banned|reputation|virus|malware|dmarc|\bspf\b|dkim|content|denied|den[iy]|prohibit"
    r"|permi(?:t|ssion)|refuse|too (?:large|big|many|much)|exceed|\brate\b|limit|restrict|not allowed|disallowed|security"
    r"|allow ?list|white ?list|your (?:ip|host|server|domain|account|message)"
)
_FULL = re.compile(r"\bfull\b|quota|storage|\brate\b|too many")


def at_recipient(code: int, text: bytes | str) -> Result:
    """Interprets the reply to RCPT if it was not positive.

    >>> at_recipient(550, b"5.1.1 no such user"), at_recipient(504, "5.5.2 Helo command rejected")
    (Bounced(reason='550 5.1.1', bounce_type='hard'), Later(reason='504 5.5.2', after_s=None, everyone=True))
    """
    reply = _decoded(text)
    enhanced = _enhanced(reply)
    reason = f"{code} {enhanced}".rstrip()
    if not 500 <= code < 600:
        return Later(reason, everyone=code in _SERVER_CODES or enhanced == "4.3.2")
    lowered = _QUOTED.sub(" ", reply).lower()
    match enhanced:
        case unspecific if unspecific in _UNSPECIFIC:
            return _by_text(code, lowered, reason)
        case known if known in _NO_MAILBOX_CODES:
            return Bounced(reason)
        case "5.2.1":  # disabled; Gmail also sends it for mailboxes that get too much mail
            return Bounced(reason, "soft" if _FULL.search(lowered) else "hard")
        case "5.2.2":
            return Bounced(reason, "soft")
        case "5.1.2" if not _OUR_SIDE.search(lowered):  # no such domain
            return Bounced(reason)
        case "5.4.1" if "recipient address rejected" in lowered:  # Exchange Online: not in its directory
            return Bounced(reason)
    if enhanced in _SERVER or code in _SERVER_CODES or _OUR_SIDE.search(lowered):
        return Later(reason, everyone=True)
    return Failed(reason)


def after_data(code: int, text: bytes | str) -> Result:
    """Interprets the reply to DATA or to the content. Without a specific code it concerns the content, not the mailbox."""
    reply = _decoded(text)
    enhanced = _enhanced(reply)
    if 500 <= code < 600 and code not in _SERVER_CODES and enhanced in _UNSPECIFIC:
        our_side = _OUR_SIDE.search(_QUOTED.sub(" ", reply).lower())
        reason = reason_of(code, text)
        return Later(reason, everyone=True) if our_side else Failed(reason)
    return at_recipient(code, text)


def reason_of(code: int, text: bytes | str) -> str:
    """Returns the codes, as in `550 5.1.1`. The rest of a reply often repeats the address, so it is not passed on."""
    return f"{code} {_enhanced(_decoded(text))}".rstrip()


def _by_text(code: int, lowered: str, reason: str) -> Result:
    """Interprets a 5xx reply without a specific code of RFC 3463 by its text."""
    if code in _SERVER_CODES or _OUR_SIDE.search(lowered):
        return Later(reason, everyone=True)
    if code == 552 or (code in _MAILBOX_CODES and "mailbox" in lowered and _FULL.search(lowered)):
        return Bounced(reason, "soft")
    missing = code in _MAILBOX_CODES and (_NO_MAILBOX.search(lowered) or not _POLICY.search(lowered))
    if missing or code == 556:  # RFC 7504: the domain accepts no mail
        return Bounced(reason)
    return Failed(reason)


def _enhanced(reply: str) -> str:
    """Returns the first code of RFC 3463; "" = none."""
    found = _ENHANCED.search(reply)
    return found[1] if found else ""


def _decoded(text: bytes | str) -> str:
    return text.decode("ascii", "replace") if isinstance(text, bytes) else text
