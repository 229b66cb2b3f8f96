"""Encodes what happened after a decision separately from its value in the playbook, so that evidence survives new rewards."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from workers.core.playbook.policy import Rewards

#: The statuses that can earn a reward. State stores their positions as bits: only ever append.
EARNING = ("opened", "clicked", "replied", "converted", "unsubscribed", "complained")
BITS = {status: 1 << place for place, status in enumerate(EARNING)}


def earning_bits(rewards: Rewards) -> int:
    """Returns the bits of the statuses whose reward is not 0.

    >>> earning_bits(Rewards(opened=0, clicked=1, replied=0, converted=0, unsubscribed=0, complained=0))
    2
    """
    return sum(bit for status, bit in BITS.items() if getattr(rewards, status) != 0)


def worth(happened: int, rewards: Rewards) -> float:
    """Returns the sum of the rewards of what happened, each counted once.

    >>> worth(BITS["clicked"] | BITS["converted"], Rewards(clicked=0.25, converted=1))
    1.25
    """
    return _worth(happened, msgspec.structs.astuple(rewards), tuple(rewards.__struct_fields__))


@lru_cache(maxsize=1024)
def _worth(happened: int, amounts: tuple[float, ...], names: tuple[str, ...]) -> float:
    by_name = dict(zip(names, amounts, strict=True))
    return float(sum(by_name[status] for status, bit in BITS.items() if happened & bit))
