"""Keeps a customer's open carts, keyed by cart_id: a purchase closes its own cart and no other."""

from __future__ import annotations

from schemas.base import SourceEvent
from schemas.events import (
    CART_VIEWED,
    CHECKOUT_STARTED,
    ORDER_COMPLETED,
    PRODUCT_ADDED,
    PRODUCT_REMOVED,
    Product,
    Properties,
    Track,
)
from workers.core.profile.model import (
    MAX_CART_LINES,
    MAX_CARTS,
    MAX_CLOSED_CARTS,
    MAX_CURRENCY,
    MAX_TEXT,
    Cart,
    CartLine,
    Profile,
    remember,
)

#: The cart_id for shops that have one cart per customer and send no id.
ONLY_CART = "cart"
MAX_QUANTITY = 1_000_000
_MAX_PRICE = 1e12
CART_EVENTS = frozenset({PRODUCT_ADDED, PRODUCT_REMOVED, CART_VIEWED, CHECKOUT_STARTED, ORDER_COMPLETED})


def fold(profile: Profile, event: Track, at_s: float, source: SourceEvent) -> list[str]:
    """Applies a cart event; returns the ids of the carts that were changed, opened or closed.

    A late event about a cart that has since been bought changes nothing.
    """
    properties = event.properties
    if event.event == ORDER_COMPLETED:
        return close_bought(profile, properties, at_s)
    cart_id = (properties.cart_id or properties.checkout_id or ONLY_CART)[:MAX_TEXT]
    if at_s < profile.closed_carts.get(cart_id, 0.0):
        return []
    cart = profile.carts.get(cart_id)
    if event.event == PRODUCT_REMOVED:
        if cart is None:
            return []
        for product in lines_of(properties):
            _remove(cart, product)
    else:
        products = products_of(properties)
        if cart is None:
            if not products:
                return []
            cart = profile.carts[cart_id] = Cart(at_s, at_s, source=source)
        if event.event != PRODUCT_ADDED and names_products(properties) and at_s >= cart.updated_at:
            shown = {product.product_id for product in products}  # the whole cart: others were removed
            cart.lines = {key: line for key, line in cart.lines.items() if key in shown}
            if not cart.lines and not shown:
                remember(profile.closed_carts, cart_id, at_s, MAX_CLOSED_CARTS)
        for product in products:
            _put(cart, product, at_s, add=event.event == PRODUCT_ADDED)
    cart.updated_at = max(cart.updated_at, at_s)
    cart.currency = (properties.currency or "")[:MAX_CURRENCY] or cart.currency
    if not cart.lines:
        del profile.carts[cart_id]
        return [cart_id]
    return [cart_id, *_evict(profile)]


def known_price(price: float | None) -> bool:
    """Returns whether the price is usable: zero, missing and absurd prices count as unknown."""
    return price is not None and 0 < price < _MAX_PRICE


def names_products(properties: Properties) -> bool:
    """Returns whether an event names the products it is about; [] means that there are none."""
    return properties.products is not None or bool(properties.product_id)


def products_of(properties: Properties) -> list[Product]:
    """Returns the products an event is about, whether it names one or several, without those with a quantity of 0.

    >>> lines = [Product(product_id="band"), Product(product_id="case", quantity=0)]
    >>> [product.product_id for product in products_of(Properties(products=lines))]
    ['band']
    """
    if properties.products:
        return [product for product in properties.products if has_quantity(product)]
    return lines_of(properties) if properties.quantity is None or properties.quantity > 0 else []


def has_quantity(product: Product) -> bool:
    """Returns whether a line has a positive quantity; a missing quantity means one."""
    return product.quantity is None or product.quantity > 0


def lines_of(properties: Properties) -> list[Product]:
    """Returns every product line of an event, those with a quantity of 0 included."""
    if properties.products or not properties.product_id:
        return properties.products or []
    return [
        Product(
            product_id=properties.product_id[:MAX_TEXT],
            name=properties.name,
            category=properties.category,
            brand=properties.brand,
            price=properties.price,
            quantity=properties.quantity,
            url=properties.url,
            image_url=properties.image_url,
        )
    ]


def close_bought(profile: Profile, properties: Properties, at_s: float, *, again: bool = False) -> list[str]:
    """Closes the cart of an order, but keeps lines added after `at_s`. Returns the ids of the carts that changed.

    The cart is the one that the order names, else the only one, else those that contain a bought product. In many shops the
    checkout id is not the cart id, so one that matches no open cart is ignored. A repeated order (`again`) closes only the
    cart that it names.
    """
    named = (properties.cart_id or properties.checkout_id or "")[:MAX_TEXT]
    if named and (properties.cart_id or named in profile.carts):
        bought = [named]
    elif again:
        bought = []
    elif len(profile.carts) == 1:
        bought = list(profile.carts)
    else:
        products = {product.product_id for product in products_of(properties)}
        bought = [cart_id for cart_id, cart in profile.carts.items() if products & cart.lines.keys()]
    if named and named not in bought:
        bought.append(named)
    for cart_id in bought:
        remember(profile.closed_carts, cart_id, max(at_s, profile.closed_carts.get(cart_id, 0.0)), MAX_CLOSED_CARTS)
        cart = profile.carts.get(cart_id)
        if cart is None:
            continue
        left = {key: line for key, line in cart.lines.items() if line.added_at > at_s}
        if len(left) < len(cart.lines):
            cart.lines, cart.opened_at = left, max(cart.opened_at, at_s)
        if not cart.lines:
            del profile.carts[cart_id]
    return bought


def _put(cart: Cart, product: Product, at_s: float, *, add: bool) -> None:
    line = cart.lines.get(product.product_id)
    if line is None:
        if len(cart.lines) >= MAX_CART_LINES:
            return
        line = cart.lines[product.product_id] = CartLine(product.product_id[:MAX_TEXT], 0, added_at=at_s)
    if add:  # a late order removes what was added before it, but nothing added again since
        line.added_at = max(line.added_at, at_s)
    quantity = 1 if product.quantity is None else product.quantity
    line.quantity = min(line.quantity + quantity if add else quantity, MAX_QUANTITY)
    line.price = product.price if known_price(product.price) else line.price
    line.name = (product.name or line.name)[:MAX_TEXT]
    line.category = (product.category or line.category)[:MAX_TEXT]
    line.brand = (product.brand or line.brand)[:MAX_TEXT]
    line.url = (product.url or line.url)[:MAX_TEXT]
    line.image_url = (product.image_url or line.image_url)[:MAX_TEXT]


def _remove(cart: Cart, product: Product) -> None:
    line = cart.lines.get(product.product_id)
    if line is None:
        return
    line.quantity -= 1 if product.quantity is None else product.quantity
    if line.quantity <= 0 or not has_quantity(product):  # "0 removed" means that none is left
        del cart.lines[product.product_id]


def _evict(profile: Profile) -> list[str]:
    """Evicts the carts updated least recently beyond MAX_CARTS; returns their ids."""
    evicted = []
    while len(profile.carts) > MAX_CARTS:
        oldest = min(profile.carts, key=lambda cart_id: profile.carts[cart_id].updated_at)
        del profile.carts[oldest]
        evicted.append(oldest)
    return evicted
