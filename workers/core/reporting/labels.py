"""Maps triggers, checks, reasons and feedback to wording for readers who do not know the internals."""

from __future__ import annotations

from schemas.messages import Feedback, ReviewVerdict
from workers.core.experimentation.arms import NO_SEND

#: What the customer did, by the trigger's type in the playbook.
TRIGGERS = {
    "cart_abandonment": "abandoned a cart",
    "repeat_view": "viewed the same product repeatedly",
    "browse_abandonment": "viewed products and left",
    "cross_sell": "placed an order",
}

#: The question that each policy check answers.
CHECKS = {
    "pause": "is sending active (not paused)?",
    "age": "is the occurrence still recent enough?",
    "rollout": "does the rollout include this customer?",
    "identifiers": "is the customer identified and reachable?",
    "consent": "has the customer consented?",
    "caps": "is the customer below the frequency caps?",
    "quiet hours": "is it outside the customer's quiet hours?",
    "room": "does the rate limit of the channel allow it before it expires?",
    "arm": "was sending chosen over not sending?",
    "holdout": "is the customer outside the control group?",
}

#: Why a message was sent or not: every abort_type of the contract, `requested` and `published`.
REASONS = {
    "requested": "a message was requested",
    "published": "it was handed to the sender",
    "consent": "the customer has not consented",
    "frequency_capped": "the customer has had enough messages for now",
    "quiet_hours": "the message would have expired before the customer's quiet hours ended",
    "holdout": "the customer is in the control group, which gets no messages so that their effect can be measured",
    "missing_identifier": "the customer is not identified, or has no working address",
    "missing_timezone": "the customer's time zone is unknown, so it might have been night there",
    "guardrail": "no text passed the checks",
    "stale": "it was too late, or its campaign or channel was removed",
    "duplicate": "the same message was already sent",
    "no_action_chosen": "not sending was chosen as the better option",
    "expired": "it would have arrived too late",
    "converted": "the customer bought in the meantime",
    "paused": "sending was paused",
    "shadow": "the campaign is in shadow mode: the text was generated for review and was not sent",
    "not_in_rollout": "the rollout does not include this customer yet",
    "rejected": "a reviewer rejected the text",
}

#: What an occurrence or request waits for, and what happens then, by the reasons of core.personalisation.pending.
PENDING = {
    "delay": "for the delay of its campaign; then all checks are run",
    "quiet_hours": "for the end of the customer's quiet hours; then all checks are run again",
    "rate": "for its channel's rate limit to allow another message",
    "words": "for its text; after that, the template is used",
    "review": "for a reviewer's verdict; after that, `on_timeout` of the playbook applies",
    "release": "to be published: its text is ready",
}

#: The same reasons, as labels of counts.
PENDING_COUNTS = {
    "delay": "the delay of the campaign",
    "quiet_hours": "the end of the quiet hours, undecided",
    "rate": "the channel's rate limit, undecided",
    "words": "their text",
    "review": "a reviewer's verdict",
    "release": "the time when their text may be published",
}

_FEEDBACK = {
    "queued": "queued at the sender",
    "sent": "sent",
    "delivered": "delivered",
    "opened": "opened by the customer",
    "clicked": "clicked",
    "converted": "bought",
    "replied": "the customer replied",
    "unsubscribed": "the customer unsubscribed",
    "bounced": "could not be delivered",
    "complained": "the customer reported it as spam",
    "dropped": "the sender dropped it",
    "failed": "the sender failed to send it",
    "skipped": "the sender skipped it",
    "rated": "rated",
}


_VERDICTS = {"approve": "approved", "edit": "edited and approved", "reject": "rejected", "rate": "rated"}


def trigger(name: str) -> str:
    """Returns what the customer did; an unknown trigger keeps its name.

    >>> trigger("browse_abandonment")
    'viewed products and left'
    """
    return TRIGGERS.get(name, name)


def reason(name: str) -> str:
    """Returns the reason as text, followed by its name in the contract, which reports and metrics use."""
    return f"{REASONS.get(name, name)} ({name})"


def arm(name: str) -> str:
    """Returns a description of an arm, from its id `<variant>.<tone>`.

    >>> arm("short.warm"), arm("base.warm"), arm("short"), arm("base"), arm("no-send")
    ('short, warm tone', 'warm tone', 'short', 'default text', 'no message')
    """
    if name == NO_SEND:
        return "no message"
    variant, _, tone = name.partition(".")
    parts = [*([variant] if variant != "base" else []), *([f"{tone} tone"] if tone else [])]
    return ", ".join(parts) or "default text"


def percent(share: float) -> str:
    """Formats a probability or rate.

    >>> percent(0.62), percent(0.0123), percent(0.05), percent(1.0)
    ('62 %', '1.2 %', '5 %', '100 %')
    """
    digits = 0 if abs(share) >= 0.0995 else 1
    return f"{share * 100:.{digits}f}".removesuffix(".0") + " %"


def feedback(received: Feedback) -> str:
    """Returns a description of the feedback received."""
    label = _FEEDBACK[received.status]
    match received.status:
        case "opened" if received.machine_opened:
            return "opened by a mail scanner, not by a person"
        case "converted" if received.revenue is not None:
            return f"{label} for {received.revenue:.2f} {received.currency or ''}".rstrip()
        case "bounced":
            kind = {"hard": " (the address does not exist)", "soft": " (temporary failure)"}.get(
                received.bounce_type or "", ""
            )
            return f"{label}{kind}{_because(received.bounce_reason)}"
        case "rated":
            return f"{label} {received.rating} of 5{_because(received.comment)}"
        case "dropped" | "failed" | "skipped":
            return f"{label}{_because(received.abort_log or received.abort_type)}"
        case _:
            return label


def verdict(given: ReviewVerdict) -> str:
    """Returns a description of a reviewer's verdict."""
    by = f" by {given.reviewer}" if given.reviewer else ""
    rating = f", {given.rating} of 5" if given.rating is not None else ""
    return f"{_VERDICTS[given.verdict]}{by}{rating}{_because('; '.join(given.reasons))}"


def _because(detail: str | None) -> str:
    return f": {detail}" if detail else ""
