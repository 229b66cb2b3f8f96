"""Folds one event into a customer's profile.

Within the lateness bound, the order of events does not matter for counts, decayed counters, recent products and consent, nor
for open carts if nothing is removed from them: each part is a sum, a maximum, or the newest value by event time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zoneinfo import available_timezones

import msgspec

from schemas.base import SourceEvent, TraitValue
from schemas.catalogue import CatalogueProduct
from schemas.events import (
    CONSENT_UPDATED,
    OPT_OUT_EVENTS,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    PRODUCT_VIEWED,
    Alias,
    AnyEvent,
    Group,
    Identify,
    Page,
    Product,
    Properties,
    Screen,
    Track,
)
from workers.core.profile import ages, carts, consent, decay, orders, product_views
from workers.core.profile.consent import NO_RULES, Rules, StatementTime
from workers.core.profile.model import (
    MAX_ANONYMOUS_IDS,
    MAX_INTERESTS,
    MAX_NAME,
    MAX_NAMES,
    MAX_RECENT,
    MAX_TEXT,
    MAX_TRAITS,
    OTHER_NAMES,
    ConsentChange,
    Profile,
    Session,
)
from workers.core.profile.traits import may_keep

SESSION_GAP_S = 30 * 60.0
_ZONES = frozenset(available_timezones())
#: Interest in a product that one event shows, relative to a view.
_INTEREST = {PRODUCT_VIEWED: 1.0, "Product Added": 3.0, ORDER_COMPLETED: 5.0}


class Folded(msgspec.Struct):
    """The changes to which the caller must react: those that affect triggers, consent, or the public view at once.

    `carts`, `products`, `visits` and `orders` are the ids of carts, viewed products, visits and orders that changed. `counted`:
    the name under which the event was counted; `more`: something else that conditions may test changed too.
    """

    counted: str = ""
    more: bool = False

    carts: list[str] = []
    products: list[str] = []
    visits: list[str] = []
    orders: list[str] = []
    consent: list[ConsentChange] = []
    traits_changed: bool = False


def fold(
    profile: Profile,
    event: AnyEvent,
    at_s: float,
    source: SourceEvent,
    products: Mapping[str, CatalogueProduct],
    *,
    now_s: float,
    logged_s: float | None = None,
    rules: Rules = NO_RULES,
) -> Folded:
    """Applies one event, once (the caller has checked for duplicates). `at_s` is its timestamp, `products` the playbook's
    catalogue, `rules` the playbook's consent settings.

    A consent statement counts from `now_s` at the latest, when it was appended to the first of our logs: one from a fast clock
    would override later ones. `logged_s`: when it was appended to the log it is read from, by default the same (see
    consent.dated) [s since the epoch].
    """
    folded = Folded()
    when = StatementTime(at_s, now_s, now_s if logged_s is None else logged_s)
    _identity(profile, event)
    folded.more = _update_activity(profile, event, at_s)
    match event:
        case Track():
            folded.counted = _count(profile, event.event, at_s)
            _track(profile, event, when, source, products, rules, folded)
        case Identify():
            folded.counted = _count(profile, "identify", at_s)
            _traits(profile, event.traits, when, rules, folded)
        case Page() | Screen():
            folded.counted = _count(profile, event.name or event.category or "page", at_s)
            _session(profile, event.properties.session_id, at_s)
        case Group():
            folded.counted = _count(profile, "group", at_s)
        case Alias():
            folded.counted = _count(profile, "alias", at_s)
    if event.context.traits:
        _traits(profile, event.context.traits, when, rules, folded)
    if event.context.consent is not None:
        _apply_consent(profile, consent.from_event(event, when.at_s, profile.consent, rules), when, folded)
    folded.more |= folded.traits_changed
    profile.version += 1
    return folded


def _identity(profile: Profile, event: AnyEvent) -> None:
    profile.user_id = profile.user_id or event.user_id
    anonymous = event.anonymous_id[:MAX_TEXT] if event.anonymous_id else None
    if event.user_id and anonymous and anonymous not in profile.anonymous_ids:
        profile.anonymous_ids = [*profile.anonymous_ids, anonymous][-MAX_ANONYMOUS_IDS:]


def _update_activity(profile: Profile, event: AnyEvent, at_s: float) -> bool:
    """Updates when the customer was active, their locale and time zone; returns whether locale or time zone changed."""
    profile.events += 1
    changed = False
    newest = at_s >= profile.last_seen
    profile.first_seen = at_s if profile.first_seen == 0.0 else min(profile.first_seen, at_s)
    profile.last_seen = max(profile.last_seen, at_s)
    locale, zone = event.context.locale, event.context.timezone
    if locale and locale != profile.locale and (newest or profile.locale is None):
        profile.locale, changed = locale[:MAX_TEXT], True
    if zone and zone != profile.timezone and (newest or profile.timezone is None) and zone in _ZONES:
        profile.timezone, changed = zone, True
    hour = int(at_s // 3600) % 24
    profile.hours[hour] = profile.hours.get(hour, 0) + 1
    return changed


def _count(profile: Profile, name: str, at_s: float) -> str:
    """Counts an event; returns the name under which it was counted."""
    name = name[:MAX_NAME]
    if name not in profile.counts and len(profile.counts) >= MAX_NAMES:
        name = OTHER_NAMES
    profile.counts[name] = profile.counts.get(name, 0) + 1
    if profile.landmark == 0.0:
        profile.landmark = at_s
    elif decay.needs_new_landmark(at_s, profile.landmark):
        decay.move_landmark(profile.decayed, profile.landmark, at_s)
        decay.move_landmark(profile.interests, profile.landmark, at_s)
        profile.landmark = at_s
    profile.decayed[name] = profile.decayed.get(name, 0.0) + decay.weight(at_s, profile.landmark)
    return name


def _track(
    profile: Profile,
    event: Track,
    when: StatementTime,
    source: SourceEvent,
    products: Mapping[str, CatalogueProduct],
    rules: Rules,
    folded: Folded,
) -> None:
    properties, at_s = event.properties, when.stated_s
    _session(profile, properties.session_id, at_s)
    if event.event == CONSENT_UPDATED:
        changes = consent.from_properties(properties, when.at_s, profile.consent, rules.channels)
        _apply_consent(profile, changes, when, folded)
        return
    if event.event == ORDER_COMPLETED and (first_at_s := orders.first_reported_at(profile, properties)) is not None:
        orders.move_earlier(profile, properties.order_id or "", at_s)
        folded.carts = carts.close_bought(profile, properties, min(at_s, first_at_s), again=True)
        return
    if (refused := OPT_OUT_EVENTS.get(event.event)) is not None:
        keys = consent.refusal(refused, profile.consent, rules.channels)
        opt_outs = [ConsentChange(key, False, when.at_s, event.event) for key in keys]
        _apply_consent(profile, opt_outs, when, folded)
        return
    interest = _INTEREST.get(event.event)
    if interest is not None:
        folded.more = True
        for product in carts.products_of(properties):
            _interest(profile, product, interest, at_s, products)
    if event.event in carts.CART_EVENTS:
        folded.carts = carts.fold(profile, event, at_s, source)
        folded.visits = product_views.mark_carted(profile, at_s)
    if event.event == PRODUCT_VIEWED:
        folded.products, folded.visits = product_views.fold(profile, properties, at_s, source)
    elif event.event == ORDER_COMPLETED:
        _order(profile, properties, at_s)
        folded.products = product_views.viewed(profile)
        folded.orders = orders.fold(profile, properties, at_s, source)
    elif event.event in (ORDER_CANCELLED, ORDER_REFUNDED):
        folded.orders = orders.remove(profile, properties)


def _session(profile: Profile, session_id: str | None, at_s: float) -> None:
    session = profile.session
    if session is not None and at_s < session.started_at:
        return
    same = session is not None and (
        session.session_id == session_id if session_id else at_s - session.last_at <= SESSION_GAP_S
    )
    if session is None or not same:
        session = profile.session = Session((session_id or str(int(at_s)))[:MAX_TEXT], at_s, at_s)
        profile.sessions += 1
    session.last_at = max(session.last_at, at_s)
    session.events += 1


def _interest(
    profile: Profile, product: Product, strength: float, at_s: float, products: Mapping[str, CatalogueProduct]
) -> None:
    known = products.get(product.product_id)
    names = {product.category, product.brand} if known is None else {known.category, known.brand, *known.tags}
    amount = strength * decay.weight(at_s, profile.landmark)
    for name in sorted(filter(None, names)):
        profile.interests[name[:MAX_NAME]] = profile.interests.get(name[:MAX_NAME], 0.0) + amount
    while len(profile.interests) > MAX_INTERESTS:
        del profile.interests[min(profile.interests, key=profile.interests.__getitem__)]
    if product.price and carts.known_price(product.price):
        profile.price_min = min(product.price, profile.price_min or product.price)
        profile.price_max = max(product.price, profile.price_max or product.price)
    _recent(profile, product.product_id[:MAX_TEXT], at_s)


def _recent(profile: Profile, product_id: str, at_s: float) -> None:
    """Keeps the newest MAX_RECENT distinct products, oldest first."""
    for index, (seen_at, known) in enumerate(profile.recent):
        if known == product_id:
            if seen_at >= at_s:
                return
            del profile.recent[index]
            break
    position = len(profile.recent)
    while position and profile.recent[position - 1][0] > at_s:
        position -= 1
    profile.recent.insert(position, (at_s, product_id))
    del profile.recent[:-MAX_RECENT]


def _order(profile: Profile, properties: Properties, at_s: float) -> None:
    profile.orders += 1
    profile.last_order_at = max(profile.last_order_at or 0.0, at_s)
    revenue = properties.revenue if properties.revenue is not None else properties.total
    if carts.known_price(revenue) and properties.currency:
        currency = properties.currency[:3].upper()
        if currency in profile.revenue or len(profile.revenue) < 8:
            profile.revenue[currency] = profile.revenue.get(currency, 0.0) + (revenue or 0.0)


def _apply_consent(profile: Profile, changes: Iterable[ConsentChange], when: StatementTime, folded: Folded) -> None:
    """Applies consent statements, unless a newer one is known.

    A state that is reported repeatedly is one line of the history, and its opt-in does not override a statement from elsewhere.
    """
    for statement in changes:
        known = profile.consent.get(statement.key)
        change = consent.dated(statement, known, when)
        if known is not None and change.source in consent.STATES:
            if change.granted and known.source != change.source:
                continue  # a state that a device or form repeats is older than the statement from elsewhere
            if change.granted == known.granted:
                if not change.granted and change.captured_at > known.captured_at:
                    profile.consent[change.key] = msgspec.structs.replace(known, captured_at=change.captured_at)
                continue
        if consent.apply(profile, change):
            folded.consent.append(change)


def _traits(
    profile: Profile, traits: Mapping[str, TraitValue], when: StatementTime, rules: Rules, folded: Folded
) -> None:
    """Applies traits: newer values replace older ones; None removes. Contact details and identifiers are not kept. A
    stated age keeps protecting a minor even if its trait is removed.
    """
    stated_s = when.at_s
    for name, value in traits.items():
        if len(name) > MAX_TEXT or not may_keep(name, value):
            continue
        if (age_kind := ages.kind(name)) is not None:
            _age(profile, age_kind, name, value, stated_s)
        if value is None:
            folded.traits_changed |= profile.traits.pop(name, None) is not None
        elif name in profile.traits or len(profile.traits) < MAX_TRAITS or age_kind is not None:
            bounded = _bounded(value)
            folded.traits_changed |= profile.traits.get(name) != bounded
            profile.traits[name] = bounded
    _apply_consent(profile, consent.from_traits(traits, stated_s, profile.consent, rules.channels), when, folded)
    locale = traits.get("locale") or traits.get("language")
    if isinstance(locale, str) and profile.locale is None:
        profile.locale = locale[:MAX_TEXT]
    zone = traits.get("timezone") or traits.get("time_zone")
    if isinstance(zone, str) and zone in _ZONES:
        profile.timezone = zone


def _age(profile: Profile, age_kind: str, name: str, value: TraitValue, stated_s: float) -> None:
    """Stores when the customer comes of age, and makes room for the trait."""
    adult_at = ages.adult_at(name, value, stated_s)
    if adult_at is not None:
        known = profile.adult_at.get(age_kind)
        if known is None or (stated_s, adult_at) > known:  # of two ages stated at the same time the younger counts
            profile.adult_at[age_kind] = stated_s, adult_at
    if name not in profile.traits and len(profile.traits) >= MAX_TRAITS:
        other = next((known for known in reversed(profile.traits) if not ages.is_age_trait(known)), None)
        del profile.traits[other or next(iter(profile.traits))]


def _bounded(value: TraitValue) -> TraitValue:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value) if abs(value) < 2**1000 else None  # msgpack integers have at most 64 bits
    if isinstance(value, list):
        return [item[:MAX_TEXT] for item in value[:20]]
    return value
