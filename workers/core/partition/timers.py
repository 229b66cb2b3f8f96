"""The timers of one lane: the committed index in the store plus what this batch has added.

The index entry of a cancelled timer may still be returned until the batch is committed, so the caller must check the profile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush

from workers.core.partition import keys
from workers.core.profile.model import Profile
from workers.core.stream.records import StateStore

#: The kind of timer that ends a request's wait for its text, its verdict or the end of quiet hours.
DEADLINE = "deadline"


def kind_of(timer_id: str) -> str:
    """Returns the first part of a timer's ID.

    >>> kind_of("trigger|cart-abandonment|c1"), kind_of("view")
    ('trigger', 'view')
    """
    return timer_id.partition("|")[0]


class Timers:
    """One batch's view of the timer index. `puts` and `deletes` are the changes to the store on commit; `moved` is the net
    change in the number of timers of each kind.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._scan: Iterator[bytes] | None = None
        self._next_committed: bytes | None = None
        self._added: list[bytes] = []
        self.puts: dict[bytes, None] = {}
        self.deletes: dict[bytes, None] = {}
        self.moved: Counter[str] = Counter()

    def set(self, profile: Profile, timer_id: str, due_s: float) -> None:
        """Sets or moves a timer. Due times are rounded to the millisecond."""
        due_s = round(due_s * 1000) / 1000
        if profile.timers.get(timer_id) == due_s:
            return
        self.cancel(profile, timer_id)
        profile.timers[timer_id] = due_s
        self.moved[kind_of(timer_id)] += 1
        key = keys.timer_key(due_s, profile.customer_id, timer_id)
        self.deletes.pop(key, None)
        self.puts[key] = None
        heappush(self._added, key)

    def cancel(self, profile: Profile, timer_id: str) -> None:
        """Removes a timer; does nothing if there is none."""
        due_s = profile.timers.pop(timer_id, None)
        if due_s is not None:
            self.moved[kind_of(timer_id)] -= 1
            self._drop(keys.timer_key(due_s, profile.customer_id, timer_id))

    def fired(self, profile: Profile, timer_id: str) -> None:
        """Removes from its profile a timer that `pop_due` has returned."""
        del profile.timers[timer_id]
        self.moved[kind_of(timer_id)] -= 1

    def pop_due(self, until_s: float) -> tuple[float, str, str] | None:
        """Removes and returns the earliest entry due at or before `until_s` as (due, customer_id, timer_id); None = there is
        none.
        """
        if self._scan is None:
            self._scan = self._store.scan(keys.TIMER)
            self._next_committed = next(self._scan, None)
        committed, added = self._next_committed, self._added[0] if self._added else None
        if committed is None and added is None:
            return None
        key = min(entry for entry in (committed, added) if entry is not None)
        due_s, customer_id, timer_id = keys.parse_timer(key)
        if due_s > until_s:
            return None
        if key == committed:
            self._next_committed = next(self._scan, None)
        if key == added:
            heappop(self._added)
        self._drop(key)
        return due_s, customer_id, timer_id

    def _drop(self, key: bytes) -> None:
        if key in self.puts:
            del self.puts[key]  # never committed, or overwritten in this batch
        self.deletes[key] = None


def index_keys(profile: Profile) -> list[bytes]:
    """Returns the index entries of a profile, which a restore writes along with it."""
    return [keys.timer_key(due_s, profile.customer_id, timer_id) for timer_id, due_s in profile.timers.items()]
