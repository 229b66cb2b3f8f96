"""Plans the pool: what is missing, the requests that fill it, and whether an entry is still valid under the playbook."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from hashlib import blake2b

import msgspec

from schemas.learning import PoolEntry
from schemas.messages import Candidate, MessageRequest, MessageText
from workers.core.catalogue.product_facts import facts_of
from workers.core.experimentation import arms
from workers.core.experimentation.arms import Arm
from workers.core.generation.pool.entries import Key, key_of
from workers.core.generation.pool.selection import fill
from workers.core.generation.pool.slots import InvalidSlot, slots_of, with_name_slot
from workers.core.generation.requests import unaddressed
from workers.core.guardrails.check import passed, rejections
from workers.core.guardrails.models import NO_MODELS, Models
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.playbook import Playbook

#: Statuses of texts that a person has approved or may still approve.
_USABLE = ("draft", "approved")


class PoolGap(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the pool. `have`: how many texts are approved or await approval; `texts`: all that it ever had."""

    key: Key
    arm: Arm
    have: int
    texts: tuple[MessageText, ...] = ()


class PoolFilter(msgspec.Struct, frozen=True, kw_only=True):
    """The keys to fill; empty = all."""

    channels: Collection[str] = ()
    languages: Collection[str] = ()
    groups: Collection[str] = ()
    products: Collection[str] = ()


def gaps(
    playbook: Playbook, campaigns: Iterable[Campaign], wanted: PoolFilter, entries: Iterable[PoolEntry]
) -> list[PoolGap]:
    """Returns every key that the campaigns can request, with its texts among `entries` (the newest of each id).

    Only products of the playbook are planned: the facts about others are known from events only. Where a channel sends a
    provider's templates, no texts are needed.
    """
    known: dict[Key, list[PoolEntry]] = {}
    for entry in entries:
        known.setdefault(key_of(entry), []).append(entry)
    groups = [group.id for group in playbook.audiences.target_groups]
    found = []
    for campaign in campaigns:
        for arm in arms.sending(campaign).values():
            for channel in _chosen(campaign.channels, wanted.channels):
                for language in _chosen(playbook.languages, wanted.languages):
                    if playbook.channels[channel].is_templated(language):
                        continue
                    for group in _chosen(groups, wanted.groups):
                        for product in _chosen(playbook.products, wanted.products):
                            key = Key(
                                campaign_id=campaign.id,
                                prompt=arm.prompt,
                                tone=arm.tone or "",
                                channel=channel,
                                language=language,
                                target_group=group,
                                product_id=product,
                            )
                            existing = known.get(key, [])
                            have = sum(entry.status in _USABLE for entry in existing)
                            texts = tuple(entry.text for entry in existing)
                            found.append(PoolGap(key=key, arm=arm, have=have, texts=texts))
    return found


def request_for(
    playbook: Playbook, key: Key, *, number: str, variation_id: str, requested_at: datetime, deadline_at: datetime
) -> MessageRequest:
    """Returns a request for one text of a key, at the lowest priority; a different `number` gives a different text.

    Campaign, channel, language and product must be in the playbook.
    """
    return unaddressed(
        playbook,
        message_id=f"pool-{_digest(*msgspec.structs.astuple(key), number)}",
        campaign_id=key.campaign_id,
        channel=key.channel,
        language=key.language,
        target_group=key.target_group,
        prompt=key.prompt,
        product=facts_of(playbook.products[key.product_id], key.language),
        variation_id=variation_id,
        tone=key.tone or None,
        requested_at=requested_at,
        deadline_at=deadline_at,
    )


def entry_of(playbook: Playbook, gap: PoolGap, candidate: Candidate, now: datetime) -> PoolEntry:
    """Returns an LLM candidate as a draft entry. The product's name becomes a slot; the same text always has the same id."""
    key = gap.key
    text = with_name_slot(candidate.text, playbook.products[key.product_id].name.get(key.language, ""))
    return PoolEntry(
        entry_id=_digest(*msgspec.structs.astuple(key), *msgspec.structs.astuple(text)),
        campaign_id=key.campaign_id,
        channel=key.channel,
        language=key.language,
        target_group=key.target_group,
        product_id=key.product_id,
        text=text,
        slots=list(slots_of(text)),
        status="draft",
        variation_id=gap.arm.id,
        prompt=key.prompt,
        tone=key.tone,
        prompt_version=candidate.prompt_version,
        playbook_version=playbook.version,
        verdicts=candidate.verdicts,
        model=candidate.usage.model,
        updated_at=now,
    )


def objections(playbook: Playbook, entry: PoolEntry, now: datetime, models: Models = NO_MODELS) -> list[str]:
    """Returns the objections to approving an entry; [] = there is none.

    They name what is missing from the playbook, invalid slots, and what the guardrails reject in its text with the slots
    filled for one item of its product.
    """
    key = key_of(entry)
    groups = [group.id for group in playbook.audiences.target_groups]
    for kind, name, known in (
        ("campaign", key.campaign_id, playbook.campaigns),
        ("channel", key.channel, playbook.channels),
        ("language", key.language, playbook.languages),
        ("target group", key.target_group, groups),
        ("product", key.product_id, playbook.products),
    ):
        if name not in known:
            return [f"the playbook has no {kind} {name}"]
    variations = {(arm.prompt, arm.tone or "") for arm in arms.sending(playbook.campaigns[key.campaign_id]).values()}
    if (key.prompt, key.tone) not in variations:
        return [f"campaign {key.campaign_id} has no arm with prompt {key.prompt!r} and tone {key.tone!r}"]
    if playbook.channels[key.channel].is_templated(key.language):
        return [f"{key.channel} sends provider templates in {key.language}"]
    try:
        slots_of(entry.text)
    except InvalidSlot as error:
        return [str(error)]
    request = request_for(
        playbook, key, number=entry.entry_id, variation_id=entry.variation_id, requested_at=now, deadline_at=now
    )
    text, verdicts = fill(playbook, entry.text, request, models)
    if text is None:
        return ["a slot has no value for this product"]
    return [f"{verdict.name}: {verdict.detail}" for verdict in rejections(verdicts)]


def rejected(candidate: Candidate) -> bool:
    """Returns whether a candidate is unfit for the pool: not the LLM's own text, or one that did not pass."""
    return candidate.generated_by != "llm" or not passed(candidate.verdicts)


def _chosen(names: Iterable[str], wanted: Collection[str]) -> list[str]:
    return [name for name in names if not wanted or name in wanted]


def _digest(*parts: str) -> str:
    return blake2b("".join(f"{len(part)}:{part}" for part in parts).encode(), digest_size=8).hexdigest()
