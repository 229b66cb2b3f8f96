"""Maps triggers, checks, reasons and feedback to wording for readers who do not know the internals."""

from __future__ import annotations

from schemas.messages import Feedback, ReviewVerdict
from workers.core.experimentation.arms import NO_SEND

#: What the customer did, by the trigger's type in the playbook.
TRIGGERS = {
    "cart_abandonment": "left a cart alone",
    "repeat_view": "looked at the product again and again",
    "browse_abandonment": "looked around and left",
    "cross_sell": "bought something that others go with",
}

#: The question that each policy check answers.
CHECKS = {
    "pause": "is it free to run?",
    "age": "is it still in time?",
    "rollout": "is the campaign let out to this customer?",
    "identifiers": "do we know who it is, and where to write to?",
    "consent": "has the customer allowed it?",
    "caps": "is there room for another message?",
    "quiet hours": "may the customer be disturbed now?",
    "arm": "is speaking better than saying nothing?",
    "holdout": "is the customer outside the control group?",
}

#: Why a message was sent or not: every abort_type of the contract, `requested` and `published`.
REASONS = {
    "requested": "a message was asked for",
    "published": "it was handed to the sender",
    "consent": "the customer has not allowed it",
    "frequency_capped": "the customer has had enough messages for now",
    "quiet_hours": "the customer's quiet hours would have lasted longer than the message is worth",
    "holdout": "the customer is in the control group, who hear nothing so that the effect on the others can be measured",
    "missing_identifier": "we do not know who the customer is, or have no address that works",
    "missing_timezone": "nobody knows the customer's time zone, so it might have been night there",
    "guardrail": "no text passed the checks",
    "stale": "it was too late, or its campaign or channel is gone",
    "duplicate": "the same was said already",
    "no_action_chosen": "saying nothing was chosen as the better thing to do",
    "expired": "it would have come too late",
    "converted": "the customer bought meanwhile",
    "paused": "somebody has paused it",
    "shadow": "the campaign only rehearses: the words were written for you to look at; nobody heard them",
    "not_in_rollout": "the campaign is not let out to this customer yet",
    "rejected": "a person has rejected the words",
}

#: What an occurrence or request waits for, and what happens then, by the reasons of core.personalisation.pending.
PENDING = {
    "delay": "for the delay of its campaign, then every check is made",
    "quiet_hours": "for the end of the customer's quiet hours, then every check is made anew",
    "rate": "for room on its channel",
    "words": "for its words, then the template leaves",
    "review": "for a person's verdict, then what the playbook says happens (`on_timeout`)",
    "release": "to leave: its text is ready",
}

#: The same reasons, as labels of counts.
PENDING_COUNTS = {
    "delay": "the delay of the campaign",
    "quiet_hours": "the end of the quiet hours, undecided",
    "rate": "room on the channel, undecided",
    "words": "their words",
    "review": "a person's verdict",
    "release": "the moment at which their text may leave",
}

_FEEDBACK = {
    "queued": "waits at the sender",
    "sent": "sent",
    "delivered": "delivered",
    "opened": "opened by the customer",
    "clicked": "clicked",
    "converted": "bought",
    "replied": "the customer answered",
    "unsubscribed": "the customer unsubscribed",
    "bounced": "could not be delivered",
    "complained": "the customer reported it as spam",
    "dropped": "the sender dropped it",
    "failed": "the sender failed",
    "skipped": "the sender left it out",
    "rated": "rated",
}


_VERDICTS = {"approve": "approved", "edit": "edited and approved", "reject": "rejected", "rate": "rated"}


def trigger(name: str) -> str:
    """Returns what the customer did; an unknown trigger keeps its name.

    >>> trigger("browse_abandonment")
    'looked around and left'
    """
    return TRIGGERS.get(name, name)


def reason(name: str) -> str:
    """Returns the reason as text, followed by its name in the contract, by which reports and metrics count."""
    return f"{REASONS.get(name, name)} ({name})"


def arm(name: str) -> str:
    """Returns a description of an arm, from its id `<variant>.<tone>`.

    >>> arm("short.warm"), arm("base.warm"), arm("short"), arm("base"), arm("no-send")
    ('short, warm tone', 'warm tone', 'short', 'the usual words', 'saying nothing')
    """
    if name == NO_SEND:
        return "saying nothing"
    variant, _, tone = name.partition(".")
    parts = [*([variant] if variant != "base" else []), *([f"{tone} tone"] if tone else [])]
    return ", ".join(parts) or "the usual words"


def percent(share: float) -> str:
    """Formats a probability or rate.

    >>> percent(0.62), percent(0.0123), percent(0.05), percent(1.0)
    ('62 %', '1.2 %', '5 %', '100 %')
    """
    digits = 0 if abs(share) >= 0.0995 else 1
    return f"{share * 100:.{digits}f}".removesuffix(".0") + " %"


def feedback(back: Feedback) -> str:
    """Returns a description of the feedback received."""
    words = _FEEDBACK[back.status]
    match back.status:
        case "opened" if back.machine_opened:
            return "opened by a mail scanner, not by a person"
        case "converted" if back.revenue is not None:
            return f"{words} for {back.revenue:.2f} {back.currency or ''}".rstrip()
        case "bounced":
            kind = {"hard": " (the address does not exist)", "soft": " (for now)"}.get(back.bounce_type or "", "")
            return f"{words}{kind}{_because(back.bounce_reason)}"
        case "rated":
            return f"{words} {back.rating} of 5{_because(back.comment)}"
        case "dropped" | "failed" | "skipped":
            return f"{words}{_because(back.abort_log or back.abort_type)}"
        case _:
            return words


def verdict(said: ReviewVerdict) -> str:
    """Returns a description of a reviewer's verdict."""
    by = f" by {said.reviewer}" if said.reviewer else ""
    rating = f", {said.rating} of 5" if said.rating is not None else ""
    return f"{_VERDICTS[said.verdict]}{by}{rating}{_because('; '.join(said.reasons))}"


def _because(detail: str | None) -> str:
    return f": {detail}" if detail else ""
