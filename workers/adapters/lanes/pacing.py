"""Paces commits under light load: how long each lane rests after a commit, and how long records gather.

Rest: a broker writes a transaction's markers after it has confirmed the commit. A producer that begins the next transaction
before they are written is rejected, and retries after 20 ms (librdkafka). Gathering: a fetch that returns one record costs
broker and worker as much as one that returns ten, and a batch of one record as much as a batch of ten.
"""

from __future__ import annotations

#: A lightly loaded lane rests for this share of its commit's duration, within these bounds [s]: a slow machine takes longer to
#: write its markers. A lane whose batch had at least this many records begins the next one as soon as it can.
_REST_SHARE, _MIN_REST_S, _MAX_REST_S, _LIGHT_LOAD = 0.6, 0.002, 0.01, 200
#: Records gather for as long as a turn takes, within these bounds [s].
_MIN_GATHER_S, _MAX_GATHER_S = 0.004, 0.02
#: The weight of the latest turn in the moving average.
_WEIGHT = 0.05


class CommitPacing:
    """Shared by the lanes of a process, which report each batch, and by its consumer, which lets records gather."""

    def __init__(self) -> None:
        self._turn_s = _MIN_GATHER_S

    def committed(self, records: int, commit_s: float) -> float:
        """Records a turn: a batch of `records` whose commit took `commit_s` [s]. Returns how long its lane now rests [s]."""
        if records >= _LIGHT_LOAD:
            return _MIN_REST_S
        rest_s = min(max(_MIN_REST_S, _REST_SHARE * commit_s), _MAX_REST_S)
        self._turn_s += _WEIGHT * (commit_s + rest_s - self._turn_s)
        return rest_s

    @staticmethod
    def rests(waiting: int) -> bool:
        """Returns whether a lane rests while this many records wait for it."""
        return waiting < _LIGHT_LOAD

    @property
    def gather_s(self) -> float:
        """The time for which a steady flow of records gathers at the broker [s]: the recent duration of a commit and its rest.

        The next records then find their lane ready, and not in the middle of a turn.
        """
        return min(max(_MIN_GATHER_S, self._turn_s), _MAX_GATHER_S)
