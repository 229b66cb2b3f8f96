"""What bytes mean: what others write is read with good will, and decoders are shared by threads, whose first use of a
struct by several at once is the dangerous one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas import codec
from schemas.control import PrivacyRequest
from schemas.messages import Feedback, MessageRequest, MessageText, ReviewVerdict

#: Each round makes structs that nobody has decoded, and lets threads decode them at the same moment. `sys.argv[1]` is how
#: their decoder is built.
RACE = r"""
import sys, threading, types
import msgspec
from schemas import codec

sys.setswitchinterval(1e-6)
build = {"guarded": codec._decoder, "bare": msgspec.json.Decoder}[sys.argv[1]]
SOURCE = '''
from __future__ import annotations
import msgspec
from typing import Annotated
class Inner(msgspec.Struct):
    a: Annotated[int, msgspec.Meta(ge=0)] = 0
    b: dict[str, list[Annotated[str, msgspec.Meta(max_length=9)]]] = {}
class Outer(msgspec.Struct):
    x: Inner
    y: list[Inner] = []
    z: str | None = None
'''
VALUE = b'{"x": {"a": 1, "b": {"k": ["v"]}}, "y": [{"a": 2}], "z": "q"}'

for number in range(400):
    module = sys.modules[f"m{number}"] = types.ModuleType(f"m{number}")
    exec(SOURCE, module.__dict__)
    start, wrong = threading.Barrier(3), []

    def decode():
        start.wait()
        try:
            build(module.Outer).decode(VALUE)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=decode) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
"""


def race(builder: str) -> int:
    command = [sys.executable, "-c", RACE, builder]
    return subprocess.run(command, check=False, capture_output=True).returncode


def test_threads_that_meet_a_struct_for_the_first_time_together_all_decode_it() -> None:
    assert race("guarded") == 0


def test_without_the_guard_the_same_threads_break() -> None:
    assert race("bare") != 0


NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
OPENED = Feedback(event_id="e", message_id="m", user_id="17", status="opened", timestamp=NOON)


#: What is left of a "no" of which little more than the customer can be read.
NO_MORE = {"status": "unsubscribed", "message_id": "unnamed", "timestamp": datetime(1970, 1, 1, tzinfo=UTC)}


def feedback(**fields: object) -> bytes:
    plain: dict[str, Any] = msgspec.json.decode(codec.encode(OPENED))
    return json.dumps({**plain, **fields}).encode()


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        pytest.param(
            dict.fromkeys(("channel", "link_id", "machine_opened", "rating", "revenue", "schema_version")),
            {},
            id="null is absent, as Jackson writes it",
        ),
        ({"bounce_type": " ", "comment": ""}, {}),
        ({"status": "OPENED"}, {}),
        ({"status": "Opened "}, {}),
        ({"bounce_type": "Hard"}, {"bounce_type": "hard"}),
        ({"bounce_type": "soft "}, {"bounce_type": "soft"}),
        ({"timestamp": 1740830400}, {}),
        ({"timestamp": 1740830400000}, {}),
        ({"timestamp": 1740830400000000}, {}),
        ({"timestamp": 1740830400.0}, {}),
        ({"timestamp": "1740830400"}, {}),
        ({"timestamp": "2025-03-01T12:00:00"}, {}),
        ({"timestamp": "2025-03-01T13:00:00+0100"}, {}),
        ({"rating": 4.0}, {"rating": 4}),
        ({"rating": "4"}, {"rating": 4}),
        ({"revenue": "19.90"}, {"revenue": 19.9}),
        ({"machine_opened": "true"}, {"machine_opened": True}),
        ({"user_id": 17}, {}),
        ({"status": "UNSUBSCRIBED", "revenue": "much", "link_id": []}, {"status": "unsubscribed"}),
        ({"status": "complained", "channel": {"name": "email"}}, {"status": "complained"}),
        ({"status": "complained", "channel": "email", "rating": 9}, {"status": "complained", "channel": "email"}),
        ({"status": "unsubscribe"}, {"status": "unsubscribed"}),
        ({"status": "Spam Report"}, {"status": "complained"}),
        ({"status": "click"}, {"status": "clicked"}),
        ({"status": "bounce", "bounce_type": "Permanent"}, {"status": "bounced", "bounce_type": "hard"}),
        ({"user_id": None, "userId": "17"}, {}),
        ({"status": "unsubscribed", "timestamp": "soon", "message_id": None}, NO_MORE),
        ({"status": "unsubscribed", "timestamp": None, "message_id": ["m"]}, NO_MORE),
        ({"status": "Unsubscribed by user", "user_id": " 17 "}, {"status": "unsubscribed"}),
        ({"status": "unsubscribed", "schema_version": 7}, {"status": "unsubscribed", "schema_version": 7}),
    ],
)
def test_feedback_is_read_for_what_its_sender_means(sent: dict[str, Any], meant: dict[str, Any]) -> None:
    assert codec.decode(Feedback, feedback(**sent)) == msgspec.structs.replace(OPENED, **meant)


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({"status": "seen"}, "$.status"),
        ({"timestamp": "yesterday"}, "$.timestamp"),
        ({"timestamp": [2025, 3, 1, 12, 0]}, "$.timestamp"),
        ({"timestamp": None}, "`timestamp`"),
        ({"event_id": ""}, "`event_id`"),
        ({"rating": 4.5}, "$.rating"),
        ({"rating": 9}, "$.rating"),
        ({"bounce_type": "blocked"}, "$.bounce_type"),
        ({"status": "unsubscribed", "user_id": None}, "`user_id`"),
    ],
)
def test_feedback_that_cannot_be_read_names_the_field(sent: dict[str, Any], detail: str) -> None:
    with pytest.raises(codec.Malformed) as caught:
        codec.decode(Feedback, feedback(**sent))
    assert caught.value.reason == "wrong_type"
    assert detail in caught.value.detail


@pytest.mark.parametrize("value", [b"[]", b"null", b"17", b'"opened"'])
def test_feedback_that_is_no_object_is_of_the_wrong_type(value: bytes) -> None:
    with pytest.raises(codec.Malformed, match="wrong_type"):
        codec.decode(Feedback, value)


def test_good_will_reaches_nested_objects_and_the_other_topics_that_people_outside_write() -> None:
    verdict = codec.decode(
        ReviewVerdict,
        b'{"verdict_id": 5, "message_id": "m", "user_id": "u", "verdict": "Edit", "reasons": ["tone", null],'
        b'"text": {"title": null, "body": "Hello"}, "rating": null, "decided_at": 1740830400000}',
    )
    assert (verdict.verdict_id, verdict.verdict, verdict.reasons) == ("5", "edit", ["tone"])
    assert verdict.text == MessageText(body="Hello")
    request = codec.decode(
        PrivacyRequest,
        b'{"request_id": "r", "user_id": "u", "kind": "ERASE", "requested_by": null, "requested_at": 1740830400}',
    )
    assert (request.kind, request.requested_at) == ("erase", NOON)


def test_what_our_own_roles_write_is_read_strictly() -> None:
    with pytest.raises(codec.Malformed, match="wrong_type"):
        codec.decode(MessageRequest, b'{"message_id": null}')
