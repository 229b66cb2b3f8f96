"""Builds the keys of one lane's state in `learn`.

    c<customer>                            facts (core.attribution.model)     changelog
    x<message id>                          its customer and its row        changelog
    m<window start [ms], 8 bytes><labels>  counts of feedback.metrics      changelog
    a<campaign, context, arm>              evidence of one arm             changelog
    b<campaign>                            delays of rewards               changelog
    l                                      the lane itself                 changelog
    t<due [ms], 8 bytes><customer>         index only, like all below: rebuilt from the values on restore
    f<due [ms], 8 bytes><message id>       when a message may be forgotten
    d<key of a row>                        a row that changed since it was last published

Numbers are big-endian, so that byte order is time order.
"""

from __future__ import annotations

from struct import pack, unpack_from

CUSTOMER, MESSAGE, ROW, ARM, CAMPAIGN, LANE, TIMER, FORGET, DIRTY = b"c", b"x", b"m", b"a", b"b", b"l", b"t", b"f", b"d"
_SEPARATOR = b"\x1f"


def customer_key(customer_id: str) -> bytes:
    """Returns the key of a customer's facts."""
    return CUSTOMER + customer_id.encode()


def message_key(message_id: str) -> bytes:
    """Returns the key of a message's customer and row."""
    return MESSAGE + message_id.encode()


def row_key(start_ms: int, *labels: str) -> bytes:
    """Returns the key of a row of counts."""
    return ROW + pack(">Q", start_ms) + _SEPARATOR.join(label.encode() for label in labels)


def row_start_ms(key: bytes) -> int:
    """Returns when the window of a row begins [ms since the epoch].

    >>> row_start_ms(row_key(1_000, "campaign", "push"))
    1000
    """
    return int(unpack_from(">Q", key, 1)[0])


def arm_key(campaign: str, context: str, arm: str) -> bytes:
    """Returns the key of an arm's evidence."""
    return ARM + _SEPARATOR.join((campaign.encode(), context.encode(), arm.encode()))


def campaign_key(campaign: str) -> bytes:
    """Returns the key of a campaign's delays."""
    return CAMPAIGN + campaign.encode()


def due_key(kind: bytes, due_s: float, name: str) -> bytes:
    """Returns the index key of a name that is due at `due_s` [s since the epoch].

    >>> parse_due(due_key(TIMER, 1.5, "ana"))
    (1.5, 'ana')
    """
    return kind + pack(">Q", round(max(due_s, 0.0) * 1000)) + name.encode()


def parse_due(key: bytes) -> tuple[float, str]:
    """Returns (due [s], name) of an index key."""
    return unpack_from(">Q", key, 1)[0] / 1000, key[9:].decode()
