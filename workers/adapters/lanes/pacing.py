"""Paces commits under light load: how long each lane rests after a commit, and how long records gather.

Rest: a broker writes a transaction's markers after it has confirmed the commit. A producer that begins the next one before
they are there is sent away, and comes back after 20 ms (librdkafka). Gathering: a fetch that is answered at its first
record costs broker and worker as much as one that is answered with ten, and a batch as much as ten times the batch.
"""

from __future__ import annotations

#: A lane with little to do rests for this share of the time that its commit took, within these bounds [s]: a slow machine
#: takes longer over its markers. One whose batch had this many records begins the next as soon as it can.
_REST_SHARE, _REST_S, _LONG_REST_S, _LITTLE = 0.6, 0.002, 0.01, 200
#: Records gather as long as a turn takes, within these bounds [s].
_SHORTEST_S, _LONGEST_S = 0.004, 0.02
#: How much the latest turn counts in their mean.
_NEWS = 0.05


class CommitPacing:
    """Shared by the lanes of a process, which tell it of each batch, and by its consumer, which lets records gather."""

    def __init__(self) -> None:
        self._turn_s = _SHORTEST_S

    def committed(self, records: int, commit_s: float) -> float:
        """Counts a turn: a batch of so many records whose commit took `commit_s` [s]. Returns how long its lane rests now [s]."""
        if records >= _LITTLE:
            return _REST_S
        rest_s = min(max(_REST_S, _REST_SHARE * commit_s), _LONG_REST_S)
        self._turn_s += _NEWS * (commit_s + rest_s - self._turn_s)
        return rest_s

    @staticmethod
    def rests(waiting: int) -> bool:
        """Returns whether a lane that is asked to rest does so, while so many records wait for it."""
        return waiting < _LITTLE

    @property
    def gather_s(self) -> float:
        """How long records that keep coming gather at the broker [s]: as long as lanes took of late for a commit and the rest
        behind it. The next ones then find their lane ready, and not in the middle of a turn.
        """
        return min(max(_SHORTEST_S, self._turn_s), _LONGEST_S)
