"""Paces commits under light load: how long each lane rests after a commit, and how long records gather.

Rest: a broker writes a transaction's markers after it has confirmed the commit. A producer that begins the next transaction
before they are written is rejected, and retries after 20 ms (librdkafka). Gathering: a fetch answered at its first record
costs broker and worker as much as one answered with ten, and a batch of one record as much as a batch of ten.
"""

from __future__ import annotations

#: A lightly loaded lane rests for this share of the time that its commit took, within these bounds [s]: a slow machine takes
#: longer over its markers. A lane whose batch had this many records begins the next as soon as it can.
_REST_SHARE, _REST_S, _LONG_REST_S, _LITTLE = 0.6, 0.002, 0.01, 200
#: Records gather for as long as a turn takes, within these bounds [s].
_SHORTEST_S, _LONGEST_S = 0.004, 0.02
#: The weight of the latest turn in the moving average.
_NEWS = 0.05


class CommitPacing:
    """Shared by the lanes of a process, which report each batch, and by its consumer, which lets records gather."""

    def __init__(self) -> None:
        self._turn_s = _SHORTEST_S

    def committed(self, records: int, commit_s: float) -> float:
        """Counts a turn: a batch of so many records whose commit took `commit_s` [s]. Returns how long its lane now rests
        [s].
        """
        if records >= _LITTLE:
            return _REST_S
        rest_s = min(max(_REST_S, _REST_SHARE * commit_s), _LONG_REST_S)
        self._turn_s += _NEWS * (commit_s + rest_s - self._turn_s)
        return rest_s

    @staticmethod
    def rests(waiting: int) -> bool:
        """Returns whether a lane rests when asked to, while this many records wait for it."""
        return waiting < _LITTLE

    @property
    def gather_s(self) -> float:
        """How long records that keep coming gather at the broker [s]: as long as lanes recently took for a commit and the
        rest after it. The next records then find their lane ready, and not in the middle of a turn.
        """
        return min(max(_SHORTEST_S, self._turn_s), _LONGEST_S)
