"""Traits that reach, bill or identify a person stay out of the profile and its public view, however they are spelt."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.profiles import ProfileView
from tests.support.core import LaneHarness

NOT_KEPT = [
    *(
        "email",
        "Email",
        "E-Mail",
        "workEmail",
        "contact_email",
        "phone",
        "phoneNumber",
        "Phone Number",
        "mobile",
        "tel",
    ),
    *(
        "address",
        "address.city",
        "Shipping Address",
        "street",
        "ip",
        "ipAddress",
        "Password",
        "passwd",
        "user_password",
    ),
    *("creditCard", "credit_card_number", "cardNumber", "cvv", "IBAN", "ssn", "passportNumber", "access_token", "pin"),
    *("手机号", "邮箱", "密码", "身份证号"),
]
KEPT = ["firstName", "plan", "city", "age", "has_email", "phone_model", "shipping_country", "tokens_left", "pinned"]


def view_of(**traits: Any) -> ProfileView:
    lane = LaneHarness()
    lane.run([lane.raw({"type": "identify", "traits": traits})])
    return lane.of("customer.profiles", ProfileView)[-1]


@pytest.mark.parametrize("name", NOT_KEPT)
def test_what_reaches_or_identifies_a_person_is_not_kept(name: str) -> None:
    assert view_of(**{name: "4111 1111 1111 1111", "plan": "gold"}).traits == {"plan": "gold"}


@pytest.mark.parametrize("name", KEPT)
def test_what_somebody_is_like_is_kept(name: str) -> None:
    assert name in view_of(**{name: True if name.startswith("has") else "x"}).traits
