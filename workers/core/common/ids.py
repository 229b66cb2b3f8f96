"""Derives identifiers from their inputs: the same occurrence always gets the same id, on any worker, in any replay."""

from __future__ import annotations

from hashlib import blake2b


def decision_id(customer_id: str, campaign_id: str, occurrence_id: str) -> str:
    """Returns the id of one (customer, campaign, occurrence); 32 hexadecimal digits.

    >>> decision_id("ana", "cart-abandonment", "cart-1") == decision_id("ana", "cart-abandonment", "cart-1")
    True
    """
    return _digest("decision", customer_id, campaign_id, occurrence_id)


def message_id(customer_id: str, campaign_id: str, occurrence_id: str, channel: str) -> str:
    """Returns the id of one (customer, campaign, occurrence, channel); 32 hexadecimal digits."""
    return _digest("message", customer_id, campaign_id, occurrence_id, channel)


def customer_ref(customer_id: str, salt: str) -> str:
    """Returns a pseudonym for the LLM server: stable for one salt, and not the customer's id."""
    return _digest("customer", salt, customer_id)[:16]


def key_digest(key: str) -> str:
    """Returns a substitute for a shop's own key that is too long; 32 hexadecimal digits."""
    return _digest("key", key)


def event_hash(event_id: str) -> int:
    """Returns a 64-bit hash of an event's id, to recognise a resend.

    >>> 0 <= event_hash("m-1") < 2**64
    True
    """
    return int.from_bytes(blake2b(event_id.encode(), digest_size=8).digest(), "big")


def _digest(*parts: str) -> str:
    # Length-prefixed, so that ("a", "bc") and ("ab", "c") differ.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return blake2b(text.encode(), digest_size=16).hexdigest()
