"""The exceptions that Attune raises. Each class stands for one way in which the engine reacts.

AttuneError
├── InvalidEvent      an input record is unusable        → dead letter; the stream continues
├── Retryable         the same call may succeed later    → the one retry loop of its adapter
├── Refused           this one call can never succeed    → not retried; its message continues without it
└── Fatal             continuing would lose or duplicate → the process stops; the supervisor restarts it
    ├── Misconfigured     a setting, playbook or topic is wrong: a restart alone does not help
    ├── Unavailable       an external dependency is missing or down (Java, Kafka, LLM)
    └── Fenced            a newer worker owns this partition

An expected result (for example a text that a guardrail rejects) is a return value, never an exception.
"""

from __future__ import annotations

#: Separates the problem from its remedy where both are on one line.
HINT = " Hint: "


class AttuneError(Exception):
    """Base class of everything that Attune raises on purpose."""


class InvalidEvent(AttuneError):
    """An input record cannot be used.

    `reason` is one of a closed set of values (it labels a metric); `detail` is for people and holds no personal data.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Retryable(AttuneError):
    """An external call failed in a way that may pass; `retry_after_s` is the delay that the other side requested, if any.

    `reason` is one of its adapter's closed set of values (it labels a metric).
    """

    def __init__(self, message: str, retry_after_s: float | None = None, reason: str = "failed") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason


class Refused(AttuneError):
    """The other side refuses this one call and would refuse it again; other calls may succeed.

    `reason` is one of a closed set of values (it labels a metric); `detail` is for people and holds no personal data.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Fatal(AttuneError):
    """The process must stop. `hint` says what the operator must do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.args[0]}{HINT}{self.hint}" if self.hint else str(self.args[0])


class Misconfigured(Fatal):
    """A setting, a playbook or a topic is invalid; the message names the place and what is allowed."""


class Unavailable(Fatal):
    """An external dependency is missing or does not answer."""


class Fenced(Fatal):
    """A newer worker owns this partition; nothing that this worker still has may be written."""
