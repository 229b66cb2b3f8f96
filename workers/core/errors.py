"""The error tree. What a class means to the engine is its only reason to exist.

AttuneError
├── InvalidEvent      one input record is unusable      → dead letter, the stream goes on
├── Retryable         the same call may work later      → the one retry loop of its adapter
├── Refused           this one call can never work      → not tried again; its message goes on without it
└── Fatal             going on would lose or double     → the process stops, the supervisor starts it again
    ├── Misconfigured     setting, playbook or topic is wrong: a restart alone does not help
    ├── Unavailable       something outside is missing or down (Java, Kafka, LLM)
    └── Fenced            a newer worker owns this partition

An expected result (a text that a guardrail rejects, say) is a return value, never an exception.
"""

from __future__ import annotations

#: Between what is wrong and what helps, where both are one line.
CURE = " Cure: "


class AttuneError(Exception):
    """Root of everything that Attune raises on purpose."""


class InvalidEvent(AttuneError):
    """An input record cannot be used.

    `reason` is one word of a closed set (it labels a metric); `detail` is for a person and holds no personal data.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Retryable(AttuneError):
    """A call outside failed in a way that may pass; `retry_after_s` is the other side's wish, if it said one.

    `reason` is one word of its adapter's closed set (it labels a metric).
    """

    def __init__(self, message: str, retry_after_s: float | None = None, reason: str = "failed") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason


class Refused(AttuneError):
    """The other side refuses this one call, and would again; other calls may work.

    `reason` is one word of a closed set (it labels a metric); `detail` is for a person and holds no personal data.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Fatal(AttuneError):
    """The process must stop. `cure` tells a person what to do."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.args[0]}{CURE}{self.cure}" if self.cure else str(self.args[0])


class Misconfigured(Fatal):
    """A setting, a playbook or a topic is not what it must be; names the place and what is allowed."""


class Unavailable(Fatal):
    """Something that Attune needs is missing or does not answer."""


class Fenced(Fatal):
    """A newer owner of this partition has taken over; nothing that this worker still holds may be written."""
