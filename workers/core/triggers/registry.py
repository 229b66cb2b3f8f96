"""Registers every kind of trigger, sets their timers, and checks which occurrences are due and still hold."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import assert_never

from workers.core.catalogue import product_facts
from workers.core.partition.timers import Timers
from workers.core.playbook.campaigns import BrowseAbandonment, Campaign, CartAbandonment, CrossSell, RepeatView, Trigger
from workers.core.playbook.playbook import Playbook
from workers.core.profile.fold import Folded
from workers.core.profile.model import MAX_DONE, OpenRequest, Profile
from workers.core.triggers.base import Kind, Objection, Occurrence
from workers.core.triggers.carts import Carts
from workers.core.triggers.orders import Purchases
from workers.core.triggers.product_views import RepeatViews, Visits

#: Kinds of timers: of an occurrence, and of one deferred until the quiet hours end or until the channel has a free slot.
TIMER, QUIET, TURN = "trigger", "quiet", "turn"


def name(trigger: Trigger) -> str:
    """Returns the trigger's type as named in the playbook and the ledger."""
    return str(trigger.__struct_config__.tag)


def timer_id(campaign_id: str, key: str, kind: str = TIMER) -> str:
    """Returns the timer of one key in one campaign."""
    return f"{kind}|{campaign_id}|{key}"


def parse_timer_id(timer: str) -> tuple[str, str, str] | None:
    """Returns (TIMER, QUIET or TURN, campaign_id, key), or None for a timer of another kind."""
    parts = timer.split("|", 2)
    return (parts[0], parts[1], parts[2]) if parts[0] in (TIMER, QUIET, TURN) and len(parts) == 3 else None


def sibling_timers(timer: str) -> list[str]:
    """Returns the timers that a timer may set when it fires: all timers of the same occurrence, or itself.

    >>> sibling_timers("trigger|cart|c1"), sibling_timers("view")
    (['trigger|cart|c1', 'quiet|cart|c1', 'turn|cart|c1'], ['view'])
    """
    if (parsed := parse_timer_id(timer)) is None:
        return [timer]
    return [timer_id(*parsed[1:], kind) for kind in (TIMER, QUIET, TURN)]


def done_key(campaign_id: str, occurrence: str) -> str:
    """Returns the key under which a decided occurrence is remembered."""
    return f"{campaign_id}|{occurrence}"


class Triggers:
    """The triggers of one playbook."""

    def __init__(self, playbook: Playbook) -> None:
        may_mention = partial(product_facts.may_mention, playbook=playbook)
        self._carts, self._repeat_views, self._visits = Carts(may_mention), RepeatViews(), Visits(may_mention)
        self._purchases = Purchases(playbook.products, may_mention)
        self._campaigns: dict[Kind, list[Campaign]] = {}
        for campaign in playbook.campaigns.values():
            self._campaigns.setdefault(self._kind(campaign.trigger), []).append(campaign)

    def rearm(self, profile: Profile, folded: Folded, timers: Timers) -> None:
        """Sets or cancels the timers of everything that an event has changed."""
        if folded.carts:
            self._rearm(self._carts, profile, folded.carts, timers)
        if folded.products:
            self._rearm(self._repeat_views, profile, folded.products, timers)
        if folded.visits:
            self._rearm(self._visits, profile, folded.visits, timers)
        if folded.orders:
            self._rearm(self._purchases, profile, folded.orders, timers)

    def due_at(self, profile: Profile, campaign: Campaign, key: str) -> float | None:
        """Returns when the occurrence of a key is due [s, to the millisecond, as timers are]; None = there is none."""
        due_s = self._kind(campaign.trigger).due_at(profile, campaign.trigger, key)
        return None if due_s is None else round(due_s * 1000) / 1000

    def due(self, profile: Profile, campaign: Campaign, key: str) -> Occurrence | None:
        """Returns the occurrence of a key that is due, if it still holds and has not been decided."""
        kind = self._kind(campaign.trigger)
        due_s = kind.due_at(profile, campaign.trigger, key)
        if due_s is None or done_key(campaign.id, kind.occurrence_id(profile, key)) in profile.done:
            return None
        return kind.occurrence(profile, campaign, key, due_s)

    def objection(self, profile: Profile, campaign: Campaign, opened: OpenRequest) -> Objection | None:
        """Returns why a requested message must no longer be published, because of what the customer did; None = it may."""
        return self._kind(campaign.trigger).objection(profile, opened)

    def done(self, profile: Profile, occurrence: Occurrence, at_s: float) -> None:
        """Remembers a decided occurrence for as long as it could recur, and longer while there is room."""
        profile.done[done_key(occurrence.campaign.id, occurrence.occurrence_id)] = at_s
        if len(profile.done) <= MAX_DONE:
            return
        alive = {
            done_key(campaign.id, kind.occurrence_id(profile, key))
            for kind, campaigns in self._campaigns.items()
            for campaign in campaigns
            for key in kind.keys(profile)
        }
        for key in sorted(profile.done.keys() - alive, key=lambda key: (profile.done[key], key)):
            if len(profile.done) <= MAX_DONE:
                break
            del profile.done[key]

    def _rearm(self, kind: Kind, profile: Profile, keys: Iterable[str], timers: Timers) -> None:
        """Sets or cancels the timers of these keys.

        A timer that is due too early is kept and rescheduled when it fires, so that an active customer costs no index writes.
        """
        for campaign in self._campaigns.get(kind, ()):
            for key in keys:
                timer = timer_id(campaign.id, key)
                due_s = kind.due_at(profile, campaign.trigger, key)
                if due_s is None or done_key(campaign.id, kind.occurrence_id(profile, key)) in profile.done:
                    timers.cancel(profile, timer)
                elif timer not in profile.timers or due_s < profile.timers[timer]:
                    timers.set(profile, timer, due_s)
                else:
                    continue
                for deferral in (QUIET, TURN):  # one timer per key: the deferral was for its previous state
                    timers.cancel(profile, timer_id(campaign.id, key, deferral))

    def _kind(self, trigger: Trigger) -> Kind:
        match trigger:
            case CartAbandonment():
                return self._carts
            case RepeatView():
                return self._repeat_views
            case BrowseAbandonment():
                return self._visits
            case CrossSell():
                return self._purchases
            case _:
                assert_never(trigger)
