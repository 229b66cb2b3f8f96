"""The policy as a function: what it says of one occurrence, of the caps, of the night, and of who is awake."""

from __future__ import annotations

from math import inf
from typing import Any

import msgspec
import pytest

from schemas.learning import ArmStatistics
from tests.support.core import NOON, make_playbook
from workers.core.decisioning import policy
from workers.core.decisioning.control_state import NOTHING, ControlState
from workers.core.decisioning.frequency_caps import exceeded_cap, forget_old_sends
from workers.core.decisioning.policy import DecisionContext, PolicyDecision, is_reachable, publishable_at, rule
from workers.core.experimentation.sampling import uniform
from workers.core.playbook.campaigns import Tone
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Cap, Policy, QuietHours
from workers.core.profile.model import CapReservation, Consent, Profile

DAY = 86_400.0
CAP = Cap(messages=2, per_s=7 * DAY)
NIGHT = QuietHours(start="22:00", end="08:00")
YES, NO = Consent(True, NOON - DAY), Consent(False, NOON - DAY)


def book(rules: dict[str, Any] | None = None, **campaign: Any) -> Playbook:
    base = make_playbook(tones={"warm": Tone(id="warm", hint={}), "brisk": Tone(id="brisk", hint={})})
    changed = msgspec.structs.replace(base.campaigns["cart-abandonment"], **campaign)
    return msgspec.structs.replace(base, policy=Policy(**(rules or {})), campaigns={changed.id: changed})


def ana(**fields: Any) -> Profile:
    word = {"push:marketing": YES, "email:marketing": YES}
    return Profile(customer_id="ana", **({"user_id": "ana", "consent": word} | fields))


def ruled(
    profile: Profile | None = None, playbook: Playbook | None = None, now_s: float = NOON, **situation: Any
) -> PolicyDecision:
    found = playbook or book()
    values: dict[str, Any] = {
        "campaign": found.campaigns["cart-abandonment"],
        "decision_id": "d1",
        "now_s": now_s,
        "due_at_s": now_s,
        "late_s": 0.0,
        "group": "young",
        "personalised": True,
        "control": NOTHING,
        "seed": "7",
    }
    return rule(profile or ana(), found, DecisionContext(**(values | situation)))


def lines(ruling: PolicyDecision) -> list[tuple[str, bool]]:
    return [(check.name, check.passed) for check in ruling.checks]


ALL = ["pause", "age", "rollout", "identifiers", "consent", "caps", "quiet hours", "arm", "holdout"]


def test_what_passes_every_check_is_asked_for() -> None:
    ruling = ruled()
    assert (ruling.reason, ruling.channel, ruling.shadow, ruling.ghost, ruling.needs_text) == (
        None,
        "push",
        False,
        False,
        True,
    )
    assert lines(ruling) == [(name, True) for name in ALL]
    assert (ruling.propensity, ruling.chances, ruling.variation_id) == (1.0, {}, None)
    assert ruling.arm is not None
    assert ruling.arm.id == "base"


def test_a_no_ends_the_ruling_at_its_check_and_says_why() -> None:
    cases: list[tuple[str, str, PolicyDecision]] = [
        ("paused", "pause", ruled(control=ControlState(paused=frozenset({"all"})))),
        ("stale", "age", ruled(late_s=3_600.1)),
        ("not_in_rollout", "rollout", ruled(playbook=book(mode="allowlist"))),
        ("missing_identifier", "identifiers", ruled(ana(user_id=None))),
        ("missing_identifier", "identifiers", ruled(ana(unreachable={"push": NOON, "email": NOON}))),
        ("consent", "consent", ruled(ana(consent={}))),
        ("frequency_capped", "caps", ruled(ana(sends=sends("pp")), book({"caps": [CAP]}))),
        ("missing_timezone", "quiet hours", ruled(playbook=book({"quiet_hours": NIGHT}))),
        ("holdout", "holdout", ruled(playbook=book({"holdout": 1.0}))),
    ]
    for reason, name, ruling in cases:
        assert (ruling.reason, ruling.needs_text) == (reason, False)
        assert lines(ruling) == [(before, True) for before in ALL[: ALL.index(name)]] + [(name, False)], reason
        assert ruling.checks[-1].detail, reason


@pytest.mark.parametrize(("late_s", "reason"), [(3_600.0, None), (3_600.1, "stale")])
def test_an_occurrence_is_stale_beyond_the_campaigns_age(late_s: float, reason: str | None) -> None:
    assert ruled(late_s=late_s).reason == reason


def test_how_late_it_is_is_told_in_minutes_and_hours() -> None:
    impatient = book(max_age_s=1.0)
    told = [ruled(playbook=impatient, late_s=late_s).checks[-1].detail for late_s in (1_800.0, 3_600.0, 5_400.0)]
    assert [words.split(" late")[0] for words in told] == ["decided 30 min", "decided 1.0 h", "decided 1.5 h"]


@pytest.mark.parametrize(
    ("paused", "reason", "channel"),
    [
        ({"channel:push"}, None, "email"),
        ({"channel:push", "channel:email"}, "paused", None),
        ({"campaign:cart-abandonment"}, "paused", None),
        ({"campaign:other"}, None, "push"),
    ],
)
def test_pauses(paused: set[str], reason: str | None, channel: str | None) -> None:
    ruling = ruled(control=ControlState(paused=frozenset(paused)))
    assert (ruling.reason, ruling.channel) == (reason, channel)
    if reason:
        assert ruling.checks[-1].detail.split(" is ")[0] == sorted(paused)[-1], "of several the first channel's"


def test_a_pause_of_the_only_channel_that_is_allowed() -> None:
    control = ControlState(paused=frozenset({"channel:push"}))
    ruling = ruled(ana(consent={"push:marketing": YES}), control=control)
    assert (ruling.reason, ruling.checks[-1].name) == ("paused", "pause")


# -- rollout -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("percent", [1.0, 10.0, 50.0, 90.0, 99.0])
def test_a_ramp_lets_out_its_share_the_same_for_every_decision(percent: float) -> None:
    customers = [f"user-{number}" for number in range(1_000)]

    def let_out(share: float, decision: str = "d1") -> set[str]:
        ramp = book(mode="ramp", ramp_percent=share)
        return {
            customer
            for customer in customers
            if ruled(msgspec.structs.replace(ana(), customer_id=customer), ramp, decision_id=decision).reason is None
        }

    found = let_out(percent)
    spread = 4 * (1_000 * percent / 100 * (1 - percent / 100)) ** 0.5
    assert abs(len(found) - 10 * percent) <= spread
    assert let_out(percent, "d2") == found
    assert let_out(percent / 2) <= found <= let_out(min(100.0, percent + 1))


def test_a_ramp_draws_each_campaign_anew_and_none_with_the_holdout() -> None:
    places = [(uniform("7", "rollout", name, f"u{number}") < 0.5) for name in ("a", "b") for number in range(400)]
    assert 120 < sum(one != other for one, other in zip(places[:400], places[400:], strict=True)) < 280
    held = [uniform("7", "holdout", f"u{number}") < 0.5 for number in range(400)]
    assert 120 < sum(one != other for one, other in zip(places[:400], held, strict=True)) < 280


def test_a_ramp_says_how_far_it_is() -> None:
    ruling = ruled(playbook=book(mode="ramp", ramp_percent=0.0))
    assert ruling.reason == "not_in_rollout"
    assert "0 % of customers" in ruling.checks[-1].detail


def test_in_shadow_words_are_asked_for_and_the_ruling_says_so() -> None:
    ruling = ruled(playbook=book(mode="shadow"))
    assert (ruling.reason, ruling.shadow) == (None, True)
    assert [check.detail for check in ruling.checks if check.name == "rollout"] == ["shadow"]


# -- identifiers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reachable"),
    [
        (None, False),
        (Consent(True, NOON - 1), False),
        (Consent(True, NOON), False),  # said when it bounced: not anew
        (Consent(True, NOON + 1), True),
        (Consent(False, NOON + 1), False),
    ],
)
def test_a_dead_address_lives_again_when_the_channel_is_allowed_anew(word: Consent | None, *, reachable: bool) -> None:
    said = {} if word is None else {"push:marketing": word, "email:marketing": word}
    profile = ana(unreachable={"push": NOON}, consent=said)
    assert is_reachable(profile, "push") is reachable
    assert is_reachable(profile, "email")


def test_the_first_reachable_allowed_channel_is_taken() -> None:
    assert ruled(ana(unreachable={"push": NOON})).channel == "email"
    assert ruled(ana(consent={"email:marketing": YES})).channel == "email"
    assert ruled(ana(consent={"push:marketing": NO}), presumed=("push", "email")).channel == "email"
    assert ruled(playbook=book(channels=["email", "push"])).channel == "email"


# -- caps ----------------------------------------------------------------------------------------------------------------


def sends(
    text: str, *, at_s: float = NOON - 1, category: str = "marketing", kind: str = "message"
) -> list[CapReservation]:
    """p = push, e = email, each one message."""
    names = {"p": "push", "e": "email"}
    return [CapReservation(f"m{number}", at_s, names[letter], category, kind) for number, letter in enumerate(text)]


PUSH_CAP = Cap(messages=2, per_s=DAY, channel="push")


@pytest.mark.parametrize(
    ("caps", "sent", "channel", "exceeded"),
    [
        ([CAP], sends("p"), "push", None),
        ([CAP], sends("pe"), "push", CAP),  # over all channels
        ([CAP], sends("ee"), "push", CAP),
        ([PUSH_CAP], sends("pp"), "push", PUSH_CAP),
        ([PUSH_CAP], sends("pe"), "push", None),  # of one channel: only what went there
        ([PUSH_CAP], sends("eee"), "push", None),
        ([PUSH_CAP], sends("pp"), "email", None),
        ([PUSH_CAP, CAP], sends("pe"), "push", CAP),
        ([CAP, PUSH_CAP], sends("pp"), "push", CAP),  # the first that is broken
        ([CAP], sends("pp", category="transactional"), "push", None),
        ([CAP], sends("pp", kind="holdout"), "push", CAP),
        ([CAP], sends("pp", kind="shadow"), "push", None),
        ([CAP], sends("pp", at_s=NOON - 7 * DAY), "push", None),  # the window is open at its beginning
        ([CAP], sends("pp", at_s=NOON - 7 * DAY + 1), "push", CAP),
        ([], sends("ppp"), "push", None),
        ([Cap(messages=1, per_s=DAY, category="transactional")], sends("pp"), "push", None),
    ],
)
def test_caps(caps: list[Cap], sent: list[CapReservation], channel: str, exceeded: Cap | None) -> None:
    assert exceeded_cap(sent, caps, channel, "marketing", NOON) == exceeded


def test_of_a_shadow_decision_real_and_shadow_messages_count() -> None:
    sent = [*sends("p"), *sends("p", kind="shadow")]
    assert exceeded_cap(sent, [CAP], "push", "marketing", NOON, shadow=True) == CAP
    assert exceeded_cap(sent, [CAP], "push", "marketing", NOON) is None
    assert ruled(ana(sends=sent), book({"caps": [CAP]}, mode="shadow")).reason == "frequency_capped"
    assert ruled(ana(sends=sent), book({"caps": [CAP]})).reason is None


def test_a_cap_of_the_first_channel_leaves_the_second() -> None:
    ruling = ruled(ana(sends=sends("pp")), book({"caps": [PUSH_CAP]}))
    assert (ruling.reason, ruling.channel) == (None, "email")
    full = ruled(ana(sends=sends("pp"), consent={"push:marketing": YES}), book({"caps": [PUSH_CAP]}))
    assert full.reason == "frequency_capped"
    assert full.checks[-1].detail == "2 marketing messages in 1 days are sent or reserved"


def test_what_no_cap_counts_is_forgotten() -> None:
    sent = [
        CapReservation("old", NOON - 7 * DAY, "push", "marketing"),
        CapReservation("new", NOON - 7 * DAY + 1, "push", "marketing"),
    ]
    assert [send.message_id for send in forget_old_sends(sent, [PUSH_CAP, CAP], NOON)] == ["new"]
    assert forget_old_sends([*sent, CapReservation("now", NOON - 0.5, "push", "marketing")], [], NOON) == []


# -- the night -----------------------------------------------------------------------------------------------------------

LATE = NOON + 10.5 * 3600  # 22:30 UTC
MORNING = NOON + 20 * 3600  # 08:00 UTC
LONDON = ana(timezone="Europe/London")


def test_at_night_it_is_put_off_to_the_morning_and_nothing_is_decided() -> None:
    ruling = ruled(LONDON, book({"quiet_hours": NIGHT}), LATE)
    assert (ruling.reason, ruling.defer_until_s, ruling.channel) == (None, MORNING, None)
    assert "quiet hours" not in [check.name for check in ruling.checks]


@pytest.mark.parametrize(("ttl_s", "reason"), [(9.5 * 3600, "quiet_hours"), (9.5 * 3600 + 1, None)])
def test_what_is_worthless_in_the_morning_is_not_put_off(ttl_s: float, reason: str | None) -> None:
    ruling = ruled(LONDON, book({"quiet_hours": NIGHT}, ttl_s=ttl_s), LATE)
    assert (ruling.reason, ruling.defer_until_s) == (reason, None if reason else MORNING)


def test_what_waited_for_the_morning_says_so() -> None:
    night = book({"quiet_hours": NIGHT})
    told = {name: ruled(LONDON, night, MORNING, due_at_s=due_s) for name, due_s in (("night", LATE), ("day", MORNING))}
    details = {name: [c.detail for c in ruling.checks if c.name == "quiet hours"] for name, ruling in told.items()}
    assert details == {"night": ["it waited for 08:00 in Europe/London"], "day": [""]}
    assert [ruling.channel for ruling in told.values()] == ["push", "push"]


@pytest.mark.parametrize(
    ("quiet", "profile", "campaign", "channel"),
    [
        (NIGHT, LONDON, {"category": "transactional"}, "push"),
        (None, LONDON, {}, "push"),
        (QuietHours(start="22:00", end="08:00", channels=["push"]), LONDON, {}, "email"),
        (QuietHours(start="22:00", end="08:00", channels=["sms"]), LONDON, {}, "push"),
        (
            QuietHours(start="22:00", end="08:00", channels=["push"]),
            ana(),
            {},
            "email",
        ),  # no zone, and e-mail has no night
        (NIGHT, ana(timezone="Asia/Shanghai"), {}, None),  # 06:30
        (NIGHT, ana(timezone="America/New_York"), {}, "push"),  # 17:30
        (QuietHours(start="22:00", end="08:00", timezone="America/New_York"), ana(), {}, "push"),
        (QuietHours(start="22:00", end="08:00", timezone="America/New_York"), LONDON, {}, None),  # the customer's own
    ],
)
def test_who_is_awake(
    quiet: QuietHours | None, profile: Profile, campaign: dict[str, Any], channel: str | None
) -> None:
    found = book({"quiet_hours": quiet}, **campaign)
    assert ruled(profile, found, LATE).channel == channel
    category = campaign.get("category", "marketing")
    for name in ("push", "email"):
        awake_s = publishable_at(profile, found, name, category, LATE)
        assert awake_s >= LATE
        if channel is None:
            assert awake_s > LATE
    if channel:
        assert publishable_at(profile, found, channel, category, LATE) == LATE


def test_when_a_message_may_leave() -> None:
    night = book({"quiet_hours": NIGHT})
    assert publishable_at(LONDON, night, "push", "marketing", LATE) == MORNING
    assert publishable_at(LONDON, night, "push", "marketing", NOON) == NOON
    assert publishable_at(ana(), night, "push", "marketing", LATE) == inf, "no zone is known any more"
    of_zone = book({"quiet_hours": QuietHours(start="22:00", end="08:00", timezone="Europe/London")})
    assert publishable_at(ana(), of_zone, "push", "marketing", LATE) == MORNING


# -- arms and the control group ------------------------------------------------------------------------------------------


def test_of_several_arms_one_is_drawn_with_its_probability() -> None:
    rewards = {
        name: ArmStatistics(arm=name, context="young", trials=400, rewards=400 * share, reward_squares=400 * share)
        for name, share in (("base.warm", 0.1), ("base.brisk", 0.12))
    }
    control = ControlState(evidence={"cart-abandonment": {"young": rewards}})
    two = book(tones=["warm", "brisk"])
    drawn = [ruled(playbook=two, control=control, decision_id=f"d{number}") for number in range(600)]
    assert all(ruling.propensity == ruling.chances[ruling.variation_id or ""] for ruling in drawn)
    assert all(ruling.arm is not None and ruling.arm.id == ruling.variation_id for ruling in drawn)
    weights = [1 / ruling.propensity for ruling in drawn if ruling.variation_id == "base.warm"]
    assert abs(sum(weights) / 600 - 1) < 0.25
    other_group = ruled(playbook=two, control=control, group="sports")
    assert other_group.chances == {"base.warm": 0.5, "base.brisk": 0.5}
    assert "drawn with probability 0.50" in next(c.detail for c in other_group.checks if c.name == "arm")


def test_saying_nothing_is_an_arm() -> None:
    silent = book(tones=["warm"], no_send=True)
    drawn = {ruling.reason for ruling in (ruled(playbook=silent, decision_id=f"d{number}") for number in range(40))}
    assert drawn == {None, "no_action_chosen"}
    ruling = next(r for r in (ruled(playbook=silent, decision_id=f"d{n}") for n in range(40)) if r.reason)
    assert (ruling.arm, ruling.variation_id, ruling.checks[-1].name) == (None, "no-send", "arm")
    assert "holdout" not in [check.name for check in ruling.checks]


def test_who_may_not_be_spoken_to_personally_hears_the_first_arm_and_is_no_trial() -> None:
    ruling = ruled(playbook=book(tones=["warm", "brisk"], no_send=True), personalised=False)
    assert (ruling.chances, ruling.variation_id, ruling.reason) == ({}, None, None)
    assert ruling.arm is not None
    assert ruling.arm.id == "base.warm"


def test_the_control_group_is_of_marketing_and_some_of_its_words_are_written() -> None:
    held = ruled(playbook=book({"holdout": 1.0, "ghost_share": 1.0}))
    assert (held.reason, held.ghost, held.needs_text) == ("holdout", True, True)
    assert "control group of 100 %" in held.checks[-1].detail
    assert not ruled(playbook=book({"holdout": 1.0})).ghost
    assert ruled(playbook=book({"holdout": 1.0}, category="transactional")).reason is None
    shares = [
        ruled(playbook=book({"holdout": 1.0, "ghost_share": 0.3}), decision_id=f"d{number}").ghost
        for number in range(500)
    ]
    assert 110 <= sum(shares) <= 190  # 150 expected, sd 10


def test_the_version_of_the_policy_is_stamped() -> None:
    assert policy.POLICY_VERSION.isdecimal()
