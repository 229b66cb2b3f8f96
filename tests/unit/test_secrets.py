"""No password, token or key of the settings is shown anywhere, and none crosses a network for everybody to read."""

from __future__ import annotations

import asyncio
import copy
import doctest
import logging
import pickle
import re
import traceback
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from infra.llm.locate import check_health
from tests.support.llm import MODEL, FakeLlm
from tests.support.mail import refusing_port
from workers import secrets
from workers.adapters.delivery_channels import ports
from workers.adapters.kafka.config import client_config, kafka_python_config
from workers.adapters.llm.client import OpenAiModel
from workers.cli import main
from workers.core.errors import AttuneError, Misconfigured, Unavailable
from workers.core.generation.llm import ChatMessage, CompletionRequest
from workers.secrets import Secret, SecretUrl, reveal, without_login
from workers.settings import NAMES, SECRET_URLS, SECRETS, Settings, to_environment
from workers.settings_loader import load

#: In every place of a value where somebody may put one.
SESAME = "sesame0pen"
VALUES = {
    **dict.fromkeys(SECRETS, SESAME),
    "llm": f"https://me:{SESAME}@a.example,https://{SESAME}@b.example/{SESAME}/v1",
    "traces_url": f"https://me:{SESAME}@traces.example/v1/traces",
    "deliver_email": f"https://hooks.example/{SESAME}?key={SESAME}",
    "deliver_push": f"fcm+https://hooks.example/v1/{SESAME}/messages:send",
    "deliver_sms": f"https://hooks.example/services/T0/{SESAME}",
    "deliver_in_app": f"https://hooks.example?token={SESAME}",
}
#: Values that are refused, at the start or when they are used.
BROKEN = {
    "llm": [
        f"ftp://me:{SESAME}@a.example",
        f"me:{SESAME}@a.example",
        f"http://me:{SESAME}",
        f"http://me:{SESAME}/1@a.example",
        f"http://me:{SESAME}@a.example:port",
        f"http://a.example/v1?key={SESAME}",
        f"http://me:{SESAME}@a.example",
        f"https://me:{SESAME}@a.example, https://me:{SESAME}@a.example/v1",
    ],
    "traces_url": [
        f"ftp://me:{SESAME}@a.example",
        f"http://a.example/v1/traces?key={SESAME}",
        f"http://me:{SESAME}@[a.example/v1/traces",
        f"http://me:{SESAME}@a.example/v1/traces",
    ],
    **{
        name: [
            f"http://hooks.example/{SESAME}",
            f"https://me:{SESAME}@hooks.example/",
            f"https://hooks.example/#{SESAME}",
            f"https://hooks.example/ {SESAME}",
            f"https://[hooks.example/{SESAME}",
            f"imap://hooks.example/{SESAME}",
            f"{SESAME}",
        ]
        for name in sorted(SECRET_URLS)
        if name.startswith("deliver_")
    },
}


def environment(name: str, value: str) -> dict[str, str]:
    given = {f"ATTUNE_{name.upper()}": value}
    if name == "kafka_password":
        given |= {"ATTUNE_KAFKA_USER": "attune", "ATTUNE_KAFKA_CA": "ca.pem"}
    return given


def test_every_setting_whose_name_speaks_of_a_secret_or_a_url_hides_it() -> None:
    speaking = {name for name in NAMES if re.search(r"password|secret|api_key|_url$|_token$", name)}
    assert speaking <= SECRETS | SECRET_URLS
    assert VALUES.keys() == SECRETS | SECRET_URLS


@pytest.mark.parametrize("name", sorted(VALUES))
def test_no_secret_is_shown_and_a_child_still_gets_it(name: str, caplog: pytest.LogCaptureFixture) -> None:
    settings = load(environment(name, VALUES[name]))
    value = settings.flat()[name]
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("test").info("%s %s %r", settings, value, value)
    seen = [repr(settings), str(settings), f"{settings} {value} {value!r} {value:>40}", "%s %r" % (value, value)]  # noqa: UP031
    seen += [str(settings.printable()), repr([value]), repr(settings.llm.urls), caplog.text]
    seen.append(CliRunner().invoke(main, ["settings"], env=environment(name, VALUES[name])).output)
    assert f"ATTUNE_{name.upper()}=" in seen[-1]
    assert [text for text in seen if SESAME in text] == []
    assert load(to_environment(settings)) == settings
    assert to_environment(settings)[f"ATTUNE_{name.upper()}"] == VALUES[name]
    for again in (
        settings.changed(seed=8),
        copy.deepcopy(settings),
        pickle.loads(pickle.dumps(settings)),  # noqa: S301 # our own
    ):
        assert again.flat()[name] == VALUES[name]
        assert SESAME not in repr(again)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BROKEN for value in BROKEN[name]])
def test_no_error_shows_the_secret_of_a_value_that_is_refused(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        ports(load(environment(name, value)))
    said = "".join(traceback.format_exception(caught.value))
    assert SESAME not in said
    assert name in str(caught.value)


@pytest.mark.parametrize("name", sorted(SECRETS | SECRET_URLS))
def test_a_value_of_the_wrong_type_is_not_shown_either(name: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load({}, **{name: [SESAME]})
    assert SESAME not in "".join(traceback.format_exception(caught.value))


def calls(url: str) -> list[Callable[[], object]]:
    async def check() -> None:
        async with OpenAiModel(Settings().changed(llm=url)) as model:
            await model.check()

    async def ask() -> None:
        async with OpenAiModel(Settings().changed(llm=url, llm_model=MODEL)) as model:
            await model.complete(CompletionRequest(messages=(ChatMessage("user", "Hi"),)), 5.0)

    return [lambda: check_health(url), lambda: asyncio.run(check()), lambda: asyncio.run(ask())]


def test_a_server_that_cannot_be_reached_is_named_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    with refusing_port() as port, caplog.at_level(logging.DEBUG):
        for number, call in enumerate(calls(f"http://me:{SESAME}@127.0.0.1:{port}")):
            with pytest.raises(AttuneError) as caught:
                call()
            assert SESAME not in "".join(traceback.format_exception(caught.value))
            assert str(port) in str(caught.value) or number == 2
    assert SESAME not in caplog.text


def test_a_name_that_nobody_knows_is_looked_up_without_the_password() -> None:
    with pytest.raises(Unavailable) as caught:
        check_health(f"http://me:{SESAME}@nowhere.invalid")
    assert "nowhere.invalid" in str(caught.value)
    assert SESAME not in "".join(traceback.format_exception(caught.value))


def test_user_and_password_of_a_url_are_shown_to_the_server_as_basic_authorization() -> None:
    url, login = without_login("http://me:s3%40cret@127.0.0.1:1/v1")
    assert (url, login) == ("http://127.0.0.1:1/v1", "Basic bWU6czNAY3JldA==")
    with FakeLlm() as fake:
        for call in calls(fake.base_url.replace("://", "://me:s3%40cret@")):
            call()
        said = {headers.get("Authorization") for headers in fake.headers}
    assert said == {login}


def test_clients_get_the_password_itself() -> None:
    settings = Settings().changed(brokers="a:1", kafka_user="u", kafka_password=SESAME, kafka_ca=__file__)
    for found in (client_config(settings)["sasl.password"], kafka_python_config(settings)["sasl_plain_password"]):
        assert (str(found), type(found)) == (SESAME, str)


def test_the_examples_in_the_docstrings_hold() -> None:
    result = doctest.testmod(secrets)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_wrapping_twice_keeps_the_text() -> None:
    assert reveal(Secret(Secret("a"))) == reveal(SecretUrl(Secret("a"))) == "a"
    assert (bool(Secret()), str(Secret("")), len(Secret("abc"))) == (False, "", 3)


FOREIGN = [
    {"DELIVER_SMS": "http://hooks.internal/send"},
    {"DELIVER_EMAIL": "http://hooks.internal:8080/send"},
    {"DELIVER_IN_APP": "http://HOOKS.internal/send"},
    {"DELIVER_PUSH": "fcm+http://hooks.internal/send"},
    {"LLM": "http://hooks.internal:8000", "LLM_API_KEY": "k"},
    {"LLM": "https://a.example,http://me:pw@hooks.internal:8000"},
    {"TRACES_URL": "http://me:pw@hooks.internal:4318/v1/traces"},
]


@pytest.mark.parametrize("given", FOREIGN, ids=str)
def test_nothing_of_worth_goes_to_another_machine_in_plain_text_unless_that_is_said(given: dict[str, str]) -> None:
    plain = {f"ATTUNE_{name}": value for name, value in given.items()}
    with pytest.raises(Misconfigured, match=r"plain text.*ATTUNE_PLAIN_HTTP_HOSTS=hooks\.internal"):
        load(plain)
    with pytest.raises(Misconfigured, match="plain text"):
        load(plain | {"ATTUNE_PLAIN_HTTP_HOSTS": "internal,hooks"})
    load(plain | {"ATTUNE_PLAIN_HTTP_HOSTS": "vllm, Hooks.internal"})
    load({name: value.replace("http://", "https://") for name, value in plain.items()})
    for here in ("127.0.0.1", "[::1]", "localhost", "127.8.8.8"):
        load({name: re.sub("hooks.internal", here, value, flags=re.IGNORECASE) for name, value in plain.items()})


def test_a_server_that_wants_no_key_may_be_plain() -> None:
    assert load({"ATTUNE_LLM": "http://gpu-host:8000"}).llm.urls == ("http://gpu-host:8000",)
    assert load({"ATTUNE_TRACES_URL": "http://collector:4318/v1/traces"}).traces.url
