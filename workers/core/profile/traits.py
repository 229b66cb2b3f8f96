"""Decides which traits a profile may keep: those that describe a customer, but no contact, payment or identity data."""

from __future__ import annotations

from functools import lru_cache

from schemas.base import TraitValue
from schemas.names import normal

#: Normalised names. The sender resolves addresses; a profile without them cannot leak any.
_NAMES = frozenset(
    {"address", "homeaddress", "postaladdress", "shippingaddress", "billingaddress", "street", "streetaddress", "ip"}
    | {"mail", "mobile", "mobilenumber", "tel", "telephone", "fax", "cell", "cellphone", "whatsapp", "wechat"}
    | {"cc", "ccnumber", "creditcard", "cardnumber", "pan", "cvc", "cvv", "iban", "bankaccount", "accountnumber"}
    | {"ssn", "socialsecuritynumber", "passport", "passportnumber", "nationalid", "taxid", "idnumber", "idcard"}
    | {"pwd", "secret", "token", "apikey", "pin", "otp", "cookie"}
    | {
        "地址",
        "手机",
        "手机号",
        "手机号码",
        "电话",
        "电话号码",
        "邮箱",
        "电子邮件",
        "密码",
        "身份证",
        "身份证号",
        "银行卡号",
    }
)
_ENDINGS = (
    "email",
    "emailaddress",
    "phone",
    "phonenumber",
    "password",
    "passwd",
    "creditcardnumber",
    "ipaddress",
    "token",
)


def may_keep(name: str, value: TraitValue) -> bool:
    """Returns whether a trait may be stored in a profile and its public view, however its name is spelt.

    A boolean may be stored: the existence of an address does not reveal the address.

    >>> may_keep("phoneNumber", "+44 20"), may_keep("Work-Email", "a@b.c"), may_keep("address.city", "Ulm")
    (False, False, False)
    >>> may_keep("has_email", True), may_keep("plan", "gold"), may_keep("phoneNumber", None)
    (True, True, True)
    """
    return value is None or isinstance(value, bool) or _is_harmless(name)


@lru_cache(maxsize=4096)
def _is_harmless(name: str) -> bool:
    parts = [normal(part) for part in name.split(".")]
    return not any(part in _NAMES or part.endswith(_ENDINGS) for part in parts)
