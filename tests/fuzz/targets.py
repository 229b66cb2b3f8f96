"""Lists the targets: all code that reads external input, and its promises for any bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, get_args

import jinja2
import msgspec

from schemas import codec, moments, numerals, values
from schemas.events import Track
from schemas.messages import Message, MessageText, ProductFacts
from schemas.topics import TOPICS
from tests.fuzz.seeds import SEEDS
from tests.support.intake import NOW
from tests.support.playbooks import playbook, request
from workers.adapters.llm import vllm_load, wire
from workers.adapters.playbook.documents.yaml_documents import Document, Problem, plain
from workers.adapters.sources.event_files import open_events
from workers.core.errors import InvalidEvent, Misconfigured, Refused, Retryable
from workers.core.generation import answer_parsing, prompts
from workers.core.generation.rendering import compiled
from workers.core.guardrails.check import check
from workers.core.guardrails.checks.obfuscation import disguised
from workers.core.guardrails.trusted_input import context_value, trusted_text
from workers.core.intake.mapping import OUTPUT_BYTES, Intake, SourceFormat
from workers.core.profile import consent
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.records import Record
from workers.core.text import emoji, length_limits, sanitize, sms
from workers.core.text.confusables import as_read
from workers.core.text.money import plain_amounts
from workers.core.text.normalize import normalised
from workers.delivery import mail_replies, unsubscribe
from workers.delivery.email_address import mailbox
from workers.delivery.retry_after import retry_after_s
from workers.delivery.transports import fcm, http
from workers.delivery.transports.http import Response
from workers.delivery.transports.mime import Identity, compose
from workers.delivery.transports.webhook import WebhookChannel
from workers.settings_loader import load

SECRET = b"k" * 32
#: A file of 20 kB may have 10,000 rows, each an event or a dead letter; it is not read in an event loop.
_ROWS_S = 0.5
_TEMPORARY = TemporaryDirectory(prefix="attune-fuzz-")


class Target(NamedTuple):
    """One reader. `call` returns whether the input passed the first check, and the size of its output [bytes].

    It may only raise `raises`. Its output has at most `factor` times the bytes of the input, plus `constant`. At least the
    share `hits` of all inputs must pass the first check; otherwise the inputs do not test the target.
    """

    name: str
    call: Callable[[bytes], tuple[bool, int]]
    seeds: tuple[bytes, ...]
    raises: tuple[type[Exception], ...] = ()
    constant: int = 2_000
    hits: float = 0.2
    limit_s: float = 0.050
    factor: int = 4


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _record(value: bytes, headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return Record(topic="shop.events", partition=0, offset=7, key=b"k", value=value, appended_at_s=1.0, headers=headers)


def _intake(form: SourceFormat) -> Callable[[bytes], tuple[bool, int]]:
    intake = Intake(form)

    def call(data: bytes) -> tuple[bool, int]:
        mapped = intake.map_record(_record(data), NOW)
        assert mapped.events or mapped.rejects
        return bool(mapped.events), sum(len(event.value) + len(event.key) for event in mapped.events)

    return call


def _enveloped(data: bytes) -> tuple[bool, int]:
    """Reads lines `name: value` up to an empty line as headers."""
    head, _, body = data.partition(b"\n\n")
    pairs = (line.partition(b": ") for line in head.split(b"\n"))
    headers = tuple((name.decode("utf-8", "replace"), value) for name, _, value in pairs)
    mapped = Intake().map_record(_record(body, headers), NOW)
    return bool(mapped.events), sum(len(event.value) + len(event.key) for event in mapped.events)


def _file(name: str, form: str, plan: str = "") -> Callable[[bytes], tuple[bool, int]]:
    folder = Path(_TEMPORARY.name)
    mapping = folder / "plan.yaml" if plan else None
    if mapping is not None:
        mapping.write_text(plan)

    def call(data: bytes) -> tuple[bool, int]:
        path = folder / name
        path.write_bytes(data)
        mapped, size = 0, 0
        for _, row in open_events(
            path, form, mapping, NOW
        ):  # not kept, because the garbage collector would traverse all of them repeatedly
            mapped += len(row.events)
            size += sum(len(event.value) + len(event.key) for event in row.events)
        return mapped > 0, size

    return call


def _decoded(topic: str) -> Callable[[bytes], tuple[bool, int]]:
    def call(data: bytes) -> tuple[bool, int]:
        return True, len(codec.encode(codec.decode_topic(topic, data)))

    return call


def _answer(data: bytes) -> tuple[bool, int]:
    text = answer_parsing.parse(_text(data))
    return (False, 0) if isinstance(text, str) else (True, _size(msgspec.structs.astuple(text)))


def _checked(language: str, channel: str) -> Callable[[bytes], tuple[bool, int]]:
    """Reads one field per line."""
    known, about = playbook(), request(language=language, channel=channel)
    names = list(known.channels[channel].fields)

    def call(data: bytes) -> tuple[bool, int]:
        parts = _text(data).split("\n", len(names) - 1)
        text = MessageText(**dict(zip(names, parts, strict=False)))
        verdicts = check(text, about, known)
        return len(verdicts) > 1, _size(verdict.detail for verdict in verdicts)

    return call


def _cleaned(data: bytes) -> tuple[bool, int]:
    text = _text(data)
    policy = playbook().policy
    made = (sanitize.clean(text, 60), trusted_text(text, 60, policy), context_value(text, 80), str(disguised(text)))
    return bool(made[0]), _size(made)


def _folded(data: bytes) -> tuple[bool, int]:
    text = _text(data)[:2_000]
    made = (plain_amounts(text), as_read(text), normalised(text), sanitize.visible(text))
    # Each is another reading of the whole text; a ligature of Arabic may be eighteen letters (NFKC).
    return bool(made[0]), max(map(len, made)) // 5


def _measured(data: bytes) -> tuple[bool, int]:
    text = _text(data)
    for name in ("push", "email", "sms"):
        channel = playbook().channels[name]
        for field in channel.fields:
            length_limits.wrong(channel, field, "en", text)
        length_limits.payload_wrong(channel, "en", {"body": text})
    measured = sms.measure(text)
    assert (measured.segments == 0) == (not text)
    return measured.segments <= 3, 0


def _emoji_counted(data: bytes) -> tuple[bool, int]:
    text = _text(data)
    number = emoji.count(text)
    assert number <= len(text)
    return number > 0, 0


def _prompted(data: bytes) -> tuple[bool, int]:
    """Reads name, brand, category, facts and context of a customer, one per line."""
    name, brand, category, *facts = (*_text(data).split("\n"), "", "", "")
    product = ProductFacts(product_id="x", name=name, brand=brand, category=category, facts=facts)
    asked = request(product, context=dict.fromkeys(facts[:20], name))
    turns = prompts.render(playbook(), asked)
    assert [turn.role for turn in turns] == _roles()
    return len(turns[-1].content) > _plain_chars(), len(turns[-1].content)


def _roles() -> list[str]:
    return [turn.role for turn in prompts.render(playbook(), request(ProductFacts(product_id="x")))]


def _plain_chars() -> int:
    return len(prompts.render(playbook(), request(ProductFacts(product_id="x")))[-1].content)


def _yaml(data: bytes) -> tuple[bool, int]:
    problems: list[Problem] = []
    document = Document("x.yaml", _text(data), problems)
    assert (document.root is None) == bool(problems)
    return document.root is not None, 0 if document.root is None else len(repr(plain(document.root)))


def _template(data: bytes) -> tuple[bool, int]:
    compiled.cache_clear()
    product = {"name": "Smart Band", "facts": ["7 days"], "price": "299 CNY"}
    values_: dict[str, object] = {
        "product": product,
        "customer": [],
        "language": "en",
        "fields": [],
        "tone": {"id": ""},
    }
    return True, len(compiled(_text(data)).render(values_))


def _composed(data: bytes) -> tuple[bool, int]:
    """Reads address, subject, preheader, body, link and picture of an e-mail, one per line."""
    to, subject, preheader, body, url, image, *_ = (*_text(data).split("\n"), "", "", "", "", "", "")
    message = msgspec.structs.replace(
        _MESSAGE, email_subject=subject, title=subject, preheader=preheader, body=body, image_url=image,
        cta=msgspec.structs.replace(_MESSAGE.cta, link_url=url, text=preheader), unsubscribe_url=url,
    )  # fmt: skip
    mail = compose(message, mailbox(to), "", _IDENTITY, NOW).as_bytes()
    head = mail.partition(b"\n\n")[0].partition(b"\r\n\r\n")[0].lower()
    assert head.count(b"\nbcc:") == 0
    assert head.count(b"subject:") <= 1 + subject.lower().count("subject:")
    return True, len(mail)


def _posted(data: bytes) -> tuple[bool, int]:
    """Reads key and text of a message to a webhook, and its reply."""
    key, said, body = (*data.split(b"\n", 2), b"", b"")[:3]
    status = int(said) if said.isdigit() and len(said) < 4 else 200
    seen: list[bytes] = []

    def post(content: bytes, headers: Any) -> Response:
        seen.append(content + "".join(headers.values()).encode("ascii"))
        return Response(status, None, body)

    message = msgspec.structs.replace(_MESSAGE, idempotency_key=_text(key), body=_text(body))
    WebhookChannel(post, SECRET).send(message, "", NOW)
    http.retry_later(Response(status, None, body))
    fcm._error_code(body)
    return status != 200, len(seen[0])


def _replied(data: bytes) -> tuple[bool, int]:
    code, _, words = data.partition(b" ")
    number = int(code) if code.isdigit() and len(code) == 3 else 550
    made = mail_replies.at_recipient(number, words), mail_replies.after_data(number, words)
    return "." in mail_replies.reason_of(number, words), len(repr(made))


def _token(data: bytes) -> tuple[bool, int]:
    found = unsubscribe.read(_text(data), SECRET)
    return True, len(found.user_id)


def _served(data: bytes) -> tuple[bool, int]:
    load_ = vllm_load.parse_load(data)
    reply = wire.decode_reply(data, "m", 0.1)
    return True, len(reply.text) + len(repr(load_))


def _refused(data: bytes) -> tuple[bool, int]:
    """Reads status, Retry-After and body, one per line."""
    status, wish, body = (*data.split(b"\n", 2), b"", b"")[:3]
    code = int(status) if status.isdigit() and len(status) == 3 else 500
    wait_s = wire.parse_retry_after(_text(wish)), retry_after_s(_text(wish), _text(body))
    assert all(one is None or one >= 0 for one in wait_s)
    try:
        wire.raise_for_status(code, body, _text(wish))
    except (Retryable, Refused) as error:
        return True, len(str(error))


def _set(data: bytes) -> tuple[bool, int]:
    """Reads lines NAME=value."""
    pairs = (line.partition("=") for line in _text(data).replace("\0", "").split("\n"))
    settings = load({name: value for name, _, value in pairs if name != "ATTUNE_CONFIG"})
    return True, len(repr(settings))


def _agreed(data: bytes) -> tuple[bool, int]:
    """Converts an event's consent and traits like intake."""
    size = 0
    for event in Intake().map_record(_record(data), NOW).events:
        decoded = codec.decode_event(event.value)
        changes = consent.from_traits(dict(decoded.context.traits or {}), 1.0) if decoded.context else []
        if isinstance(decoded, Track) and decoded.properties is not None:
            changes += consent.from_properties(decoded.properties, 1.0, ("push:marketing",))
        size += len(changes)
    return size > 0, size


def _lettered(data: bytes) -> tuple[bool, int]:
    headers = tuple((_text(line[:8]), line) for line in data.split(b"\n")[:50])
    output = dead_letter(_record(data, headers), "intake", InvalidEvent("broken_json", _text(data)), NOW)
    codec.decode_topic("dead.letters", output.value)
    return len(data) > 0, len(output.value or b"")


def _read_values(data: bytes) -> tuple[bool, int]:
    text = _text(data)
    readers: tuple[Callable[[object], object], ...] = (
        numerals.number, moments.instant, moments.date, values.text, values.identifier, values.person, values.boolean,
        values.is_affirmative, values.integer, values.quantity, values.price, values.currency,
    )  # fmt: skip
    made = [reader(text) for reader in readers]
    return any(one not in (None, False, text) for one in made), len(repr(made)) // 4


def _size(texts: Iterable[object]) -> int:
    return sum(len(str(text).encode("utf-8", "surrogatepass")) for text in texts)


_MESSAGE = codec.decode(Message, SEEDS["message"][0])
_IDENTITY = Identity(address="news@shop.example", name="Shop")


def _targets() -> Iterator[Target]:
    batch = OUTPUT_BYTES
    for form in get_args(SourceFormat):
        seeds = SEEDS.get(form, SEEDS["auto"])
        yield Target(f"intake {form}", _intake(form), seeds, constant=batch, hits=0.12)
    yield Target("intake cloudevents headers", _enveloped, SEEDS["headers"], constant=batch, hits=0.1)
    yield Target("file rees46", _file("a.csv", "rees46"), SEEDS["rees46"], (Misconfigured,), batch, limit_s=_ROWS_S)
    yield Target(
        "file csv",
        _file("b.csv", "csv", SEEDS["plan"][0].decode()),
        SEEDS["csv"],
        (Misconfigured,),
        batch,
        limit_s=_ROWS_S,
    )
    yield Target("file jsonl", _file("c.jsonl", "auto"), SEEDS["segment"], (Misconfigured,), batch, limit_s=_ROWS_S)
    for topic in TOPICS:
        if topic.struct is not None and topic.name in SEEDS:
            yield Target(f"topic {topic.name}", _decoded(topic.name), SEEDS[topic.name], (codec.Malformed,), hits=0.08)
    yield Target("model answer", _answer, SEEDS["answer"])
    for language in ("en", "zh"):
        for channel in ("push", "email"):
            yield Target(
                f"guardrails {channel} {language}", _checked(language, channel), SEEDS[f"copy {language}"], (), 5_000
            )
    yield Target("cleaning", _cleaned, SEEDS["names"])
    yield Target("readings of a text", _folded, SEEDS["names"])
    yield Target("limits and sms", _measured, SEEDS["names"])
    yield Target("emoji", _emoji_counted, SEEDS["emoji"])
    yield Target("prompt of a product", _prompted, SEEDS["names"], constant=20_000)
    yield Target("playbook yaml", _yaml, SEEDS["yaml"], (ValueError,))
    yield Target("jinja source", _template, SEEDS["jinja"], (jinja2.TemplateError,), 60_000, limit_s=2.0)
    # A line stands in the header, in the text, and escaped in HTML: `<` is `&lt;`, which quoted-printable may double.
    yield Target("e-mail", _composed, SEEDS["mail"], (ValueError,), 8_000, factor=16)
    # JSON writes a control character as six.
    yield Target("webhook", _posted, SEEDS["posted"], constant=8_000, factor=7, hits=0.1)
    yield Target("smtp reply", _replied, SEEDS["smtp"])
    yield Target("unsubscribe token", _token, SEEDS["token"], (ValueError,), hits=0.02)
    yield Target("llm reply", _served, SEEDS["reply"], (Retryable, Refused), hits=0.1)
    yield Target("llm refusal", _refused, SEEDS["refusal"])
    yield Target("settings", _set, SEEDS["settings"], (Misconfigured,), 20_000)
    yield Target("consent", _agreed, SEEDS["consent"], hits=0.08)
    yield Target("dead letter", _lettered, SEEDS["auto"], constant=4_000)
    yield Target("loose values", _read_values, SEEDS["values"], hits=0.1)


TARGETS: dict[str, Target] = {target.name: target for target in _targets()}
