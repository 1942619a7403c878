"""Faults as values: what a definition may hold, what each does to a response, and what is drawn from a key."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.http import FIRST_PART, DeliveryFault, DeliveryFaultKind, Response
from mockserver.openapi.schema import Schema
from mockserver.sandbox.stubs import faults
from mockserver.sandbox.stubs.faults import FAULT_SCHEMA, FAULTS, Fault, fault_schema, faults_json, read_fault
from mockserver.sandbox.stubs.fields import number_field

KEY = bytes(range(16))
PLAIN = Response(200, "application/json", b'{"id":"1","count":2}', source="handler")
DATE = "Sun, 12 Apr 2026 00:00:00 GMT"

SECONDS = st.floats(0, 600)
STATUSES = st.integers(400, 599)
SHAPES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "latency": st.one_of(
        st.fixed_dictionaries({"seconds": SECONDS}),
        st.tuples(SECONDS, SECONDS).map(lambda two: {"min": min(two), "max": max(two)}),
        st.fixed_dictionaries({"median": SECONDS, "sigma": st.floats(0, 10)}, optional={"cap": SECONDS}),
    ),
    "trickle": st.fixed_dictionaries({"seconds": SECONDS}, optional={"pieces": st.integers(1, 1000)}),
    "status": st.fixed_dictionaries(
        {"status": STATUSES}, optional={"retry_after": st.integers(0, 31_622_400) | st.just(DATE)}
    ),
    "empty": st.just({}),
    "reset": st.just({}),
    "cut": st.fixed_dictionaries({"after": st.integers(0, 2**40)}) | st.fixed_dictionaries({"share": st.floats(0, 1)}),
    "malformed_chunk": st.just({}),
    "garbage": st.fixed_dictionaries(
        {}, optional={"size": st.integers(1, 65536), "instead_of": st.sampled_from(["body", "reply"])}
    ),
    "broken_json": st.just({}),
    "timeout": st.fixed_dictionaries({}, optional={"seconds": SECONDS}),
}
DEFINITIONS = st.one_of(
    [shape.map(lambda given, word=word: {"type": word, **given}) for word, shape in SHAPES.items()]  # type: ignore[misc]  # mypy reads no default of a lambda
)
KEYS = st.binary(min_size=16, max_size=16)


def parts() -> Iterator[bytes]:
    yield from (b"", b'data: {"a":1}\n\n', b"data: [DONE]\n\n")


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def test_every_fault_type_has_a_test() -> None:
    assert SHAPES.keys() == FAULTS.keys()


@given(DEFINITIONS)
def test_the_description_of_a_fault_is_read_as_the_same_fault(definition: dict[str, Any]) -> None:
    fault = read_fault(definition)

    assert definition.items() <= fault.described().items()
    assert read_fault(json.loads(json.dumps(fault.described()))) == fault
    assert Schema(FAULT_SCHEMA, {}).accepts(fault.described())


@given(DEFINITIONS, KEYS)
def test_a_fault_is_pure_and_the_same_for_the_same_key(definition: dict[str, Any], key: bytes) -> None:
    fault = read_fault(definition)

    assert fault.apply(PLAIN, key) == fault.apply(PLAIN, key)
    assert Response(200, "application/json", b'{"id":"1","count":2}', (), "handler", 0.0, None) == PLAIN


BAD = st.dictionaries(
    st.sampled_from(["type", "seconds", "min", "max", "status", "retry_after", "after", "share", "size", "other"]),
    st.one_of(st.sampled_from([*FAULTS]), st.integers(-1, 700), st.floats(), st.booleans(), st.none(), st.just([])),
)


@given(BAD)
def test_the_schema_and_the_reading_agree(definition: dict[str, Any]) -> None:
    accepted = Schema(FAULT_SCHEMA, {}).accepts(definition)

    try:
        read_fault(definition)
    except ValueError as refused:
        assert not accepted or "wanted no more than max" in str(refused)
    else:
        assert accepted


@pytest.mark.parametrize(
    ("definition", "complaint"),
    [
        ({}, "the fault's type is None; there are latency, trickle, status"),
        ({"type": ["latency"]}, "the fault's type is"),
        ({"type": "slow"}, "the fault's type is 'slow'; there are latency"),
        ({"type": "latency"}, "latency has no field; wanted seconds, or min and max, or median and sigma"),
        ({"type": "latency", "seconds": 1, "min": 0}, "latency has seconds, min; wanted seconds, or"),
        ({"type": "latency", "seconds": 1, "cap": 1}, "latency has seconds, cap; wanted"),
        ({"type": "latency", "min": 2, "max": 1}, "latency.min is 2; wanted no more than max, which is 1"),
        ({"type": "latency", "seconds": 600.1}, "latency.seconds is 600.1; wanted 0 to 600"),
        ({"type": "latency", "seconds": nan}, "latency.seconds is nan; wanted"),
        ({"type": "latency", "seconds": True}, "latency.seconds is True; wanted"),
        ({"type": "latency", "seconds": "1"}, "latency.seconds is '1'; wanted"),
        ({"type": "trickle", "seconds": 1, "pieces": 1001}, "trickle.pieces is 1001; wanted 1 to 1000, whole"),
        ({"type": "trickle", "pieces": 2}, "trickle lacks seconds: 0 to 600"),
        ({"type": "status"}, "status lacks status: 400 to 599, whole"),
        ({"type": "status", "status": 200}, "status.status is 200; wanted 400 to 599, whole"),
        ({"type": "status", "status": 404.5}, "status.status is 404.5; wanted"),
        ({"type": "status", "status": 503, "retry_after": "soon"}, "an HTTP date"),
        ({"type": "status", "status": 503, "retry_after": 31_622_401}, "wanted 0 to 31622400 seconds"),
        ({"type": "status", "status": 503, "retry_after": DATE + "\r\nX: y"}, "an HTTP date"),
        ({"type": "status", "status": 503, "retry_after": DATE + "\n"}, "an HTTP date"),
        ({"type": "cut"}, "cut has no field; wanted after, or share"),
        ({"type": "cut", "share": 1.1}, "cut.share is 1.1; wanted 0 to 1"),
        ({"type": "garbage", "size": 65537}, "garbage.size is 65537; wanted 1 to 65536, whole"),
        ({"type": "garbage", "instead_of": "head"}, "garbage.instead_of is 'head'; wanted body or reply"),
        ({"type": "timeout", "seconds": 601}, "timeout.seconds is 601; wanted 0 to 600"),
        ({"type": "empty", "seconds": 1}, "empty has no field 'seconds'; it has none but type"),
        ({"type": "reset", "x" * 10_000: 1}, "reset has no field 'xxx"),
    ],
)
def test_an_invalid_fault_is_rejected_with_value_and_expectation(definition: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        read_fault(definition)

    assert complaint in str(refused.value)
    assert len(str(refused.value)) < 200
    # JSON has no NaN, and a schema cannot compare two fields.
    is_outside_schema = "nan" in complaint or "wanted no more than max" in complaint
    assert Schema(fault_schema(), {}).accepts(definition) == is_outside_schema


@pytest.mark.parametrize(
    ("definition", "beyond"),
    [
        ({"type": "latency", "seconds": 0}, {"seconds": -0.1}),
        ({"type": "latency", "seconds": 600}, {"seconds": 600.5}),
        ({"type": "latency", "min": 0, "max": 600}, {"max": 600.5}),
        ({"type": "latency", "min": 0, "max": 0}, {"min": -1}),
        ({"type": "latency", "min": 600, "max": 600}, {"min": 600.5}),
        ({"type": "latency", "median": 600, "sigma": 10}, {"sigma": 10.5}),
        ({"type": "latency", "median": 0, "sigma": 0}, {"sigma": -0.1}),
        ({"type": "latency", "median": 600, "sigma": 1, "cap": 600}, {"median": 600.5}),
        ({"type": "latency", "median": 0, "sigma": 1, "cap": 0}, {"cap": -0.5}),
        ({"type": "latency", "median": 0, "sigma": 1, "cap": 600}, {"cap": 600.5}),
        ({"type": "trickle", "seconds": 0, "pieces": 1}, {"pieces": 0}),
        ({"type": "trickle", "seconds": 600, "pieces": 1000}, {"seconds": 600.5}),
        ({"type": "status", "status": 400, "retry_after": 0}, {"status": 399}),
        ({"type": "status", "status": 599, "retry_after": 0}, {"status": 600}),
        ({"type": "status", "status": 503, "retry_after": 0}, {"retry_after": -1}),
        ({"type": "status", "status": 503, "retry_after": 31_622_400}, {"retry_after": 31_622_401}),
        ({"type": "cut", "after": 0}, {"after": -1}),
        ({"type": "cut", "after": 1_099_511_627_776}, {"after": 1_099_511_627_777}),
        ({"type": "cut", "share": 0}, {"share": -0.1}),
        ({"type": "cut", "share": 1}, {"share": 1.1}),
        ({"type": "garbage", "size": 1}, {"size": 0}),
        ({"type": "garbage", "size": 65_536}, {"size": 65_537}),
        ({"type": "timeout", "seconds": 0}, {"seconds": -0.1}),
        ({"type": "timeout", "seconds": 600}, {"seconds": 600.5}),
    ],
)
def test_a_field_of_a_fault_may_be_at_its_bound_and_not_beyond(
    definition: dict[str, Any], beyond: dict[str, Any]
) -> None:
    schema = Schema(fault_schema(), {})

    assert schema.accepts(definition)
    assert definition.items() <= read_fault(definition).described().items()
    assert not schema.accepts({**definition, **beyond})
    with pytest.raises(ValueError, match="; wanted "):
        read_fault({**definition, **beyond})


@pytest.mark.parametrize(
    ("definition", "defaults"),
    [
        ({"type": "trickle", "seconds": 1}, {"pieces": 10}),
        ({"type": "garbage"}, {"size": 256, "instead_of": "body"}),
        ({"type": "timeout"}, {"seconds": 600}),
        ({"type": "status", "status": 503}, {}),
        ({"type": "cut", "after": 1}, {}),
        ({"type": "latency", "seconds": 1}, {}),
    ],
)
def test_a_fault_shows_its_defaults_and_no_field_without_a_value(
    definition: dict[str, Any], defaults: dict[str, Any]
) -> None:
    assert read_fault(definition).described() == {**definition, **defaults}


@pytest.mark.parametrize("definition", ["latency", None, ["type"], 3])
def test_a_fault_that_is_no_object_is_rejected(definition: Any) -> None:
    with pytest.raises(ValueError, match="wanted an object with a type"):
        read_fault(definition)


def delay(definition: dict[str, Any], key: bytes = KEY) -> float:
    return read_fault({"type": "latency", **definition}).apply(PLAIN, key).delay


def test_latency_is_added_to_the_delay_of_the_response() -> None:
    assert read_fault({"type": "latency", "seconds": 2}).apply(PLAIN._replace(delay=1), KEY) == PLAIN._replace(delay=3)


@given(SHAPES["latency"], KEYS)
def test_random_latencies_stay_within_their_bounds(shape: dict[str, Any], key: bytes) -> None:
    drawn = delay(shape, key)

    least, most = shape.get("min", 0), shape.get("max", shape.get("cap", shape.get("seconds", 600)))
    assert least <= drawn <= most


def test_uniform_and_lognormal_latencies_are_spread_over_the_keys() -> None:
    keys = [n.to_bytes(16, "little") for n in range(0, 2**64, 2**64 // 1001)]
    evenly = sorted(delay({"min": 1, "max": 3}, key[:8][::-1] + key[8:]) for key in keys)
    skewed = sorted(delay({"median": 2, "sigma": 0.5}, key[:8][::-1] + key[8:]) for key in keys)

    assert [round(evenly[n], 1) for n in (0, 250, 500, 750, 1000)] == [1, 1.5, 2, 2.5, 3]
    assert [round(skewed[n], 1) for n in (250, 500, 750)] == [1.4, 2, 2.8], "quartiles are median * exp(±0.674 sigma)"


def test_a_larger_random_number_is_a_longer_delay() -> None:
    keys = [bytes([first]) + bytes(15) for first in (0x20, 0x80, 0xE0)]

    assert [delay({"min": 1, "max": 3}, key) for key in keys] == pytest.approx([1.25, 2, 2.75])
    assert [delay({"median": 2, "sigma": 0.5}, key) for key in keys] == pytest.approx([1.125, 2, 3.555], abs=0.001)
    assert delay({"median": 600, "sigma": 10}, keys[2]) == 600
    assert delay({"median": 600, "sigma": 10, "cap": 7}, keys[2]) == 7


@pytest.mark.parametrize("key", [bytes(16), b"\xff" * 16])
def test_the_ends_of_what_a_key_can_be_are_drawn_from_as_well(key: bytes) -> None:
    assert 0 <= delay({"median": 1, "sigma": 10, "cap": 5}, key) <= 5
    assert 1 <= delay({"min": 1, "max": 2}, key) <= 2


def test_a_status_carries_retry_after_and_a_problem_where_no_reply_was_documented() -> None:
    fault = read_fault({"type": "status", "status": 503, "retry_after": 7})

    response = fault.apply(PLAIN._replace(delay=1), KEY)

    assert (fault.status, fault.headers) == (503, (("Retry-After", "7"),))
    assert response.media_type == "application/problem+json"
    assert json.loads(bytes_of(response)) == {"type": "about:blank", "title": "Service Unavailable", "status": 503}
    assert (response.status, response.headers, response.source, response.delay) == (503, fault.headers, "fault", 1)


def test_a_status_keeps_the_documented_reply_it_is_given() -> None:
    documented = Response(429, "application/json", b'{"error":{}}', (("Retry-After", "1"), ("X-A", "b")))

    response = read_fault({"type": "status", "status": 429, "retry_after": DATE}).apply(documented, KEY)

    assert response == documented._replace(headers=(("X-A", "b"), ("Retry-After", DATE)), source="fault")


def test_an_unregistered_status_has_a_title_too() -> None:
    response = read_fault({"type": "status", "status": 499}).apply(PLAIN, KEY)

    assert json.loads(bytes_of(response))["title"] == "Fault"
    assert response.headers == ()


def test_only_a_status_takes_the_place_of_the_response() -> None:
    assert (read_fault({"type": "empty"}).status, read_fault({"type": "empty"}).headers) == (None, ())
    assert [word for word, kind in FAULTS.items() if kind.status is not None or "status" in kind.__annotations__] == [
        "status"
    ]


@pytest.mark.parametrize(
    ("definition", "amount"),
    [
        ({"after": 0}, 0),
        ({"after": 7}, 7),
        ({"after": 20}, 19),
        ({"after": 2**40}, 19),
        ({"share": 0}, 0),
        ({"share": 0.5}, 10),
        ({"share": 1}, 19),
    ],
)
def test_a_cut_body_is_never_complete(definition: dict[str, Any], amount: int) -> None:
    cut = read_fault({"type": "cut", **definition})

    assert cut.apply(PLAIN, KEY) == PLAIN._replace(disturbance=DeliveryFault(DeliveryFaultKind.CUT, amount=amount))


def test_an_empty_body_is_cut_at_its_end() -> None:
    cut = read_fault({"type": "cut", "share": 0.5}).apply(PLAIN._replace(body=b""), KEY)

    assert cut.disturbance == DeliveryFault(DeliveryFaultKind.CUT, amount=0)


def test_a_stream_of_known_length_is_cut_by_share_and_another_behind_its_first_part() -> None:
    cut = read_fault({"type": "cut", "share": 0.5})
    known, unknown = Response(200, "", parts(), (("Content-Length", "30"),)), Response(200, "", parts())

    amounts = [each.apply(response, KEY).disturbance for response in (known, unknown) for each in (cut,)]

    assert [each.amount for each in amounts if each] == [15, FIRST_PART]
    assert read_fault({"type": "cut", "after": 3}).apply(unknown, KEY).disturbance == DeliveryFault(
        DeliveryFaultKind.CUT, amount=3
    )


def test_a_malformed_chunk_stands_in_the_middle_or_behind_the_first_part() -> None:
    fault = read_fault({"type": "malformed_chunk"})

    amounts = [fault.apply(response, KEY).disturbance for response in (PLAIN, Response(200, "", parts()))]

    assert [each.amount for each in amounts if each] == [10, FIRST_PART]
    odd = fault.apply(PLAIN._replace(body=b"12345"), KEY).disturbance
    assert odd is not None
    assert (odd.amount, type(odd.amount)) == (2, int)


def test_other_delivery_faults_only_set_their_kind() -> None:
    words = {
        "empty": DeliveryFault(DeliveryFaultKind.EMPTY),
        "reset": DeliveryFault(DeliveryFaultKind.RESET),
        "timeout": DeliveryFault(DeliveryFaultKind.TIMEOUT, 600),
    }

    assert {word: read_fault({"type": word}).apply(PLAIN, KEY).disturbance for word in words} == words
    assert read_fault({"type": "trickle", "seconds": 3}).apply(PLAIN, KEY).disturbance == DeliveryFault(
        DeliveryFaultKind.TRICKLE, 3, 10
    )


def test_garbage_is_seeded_framed_and_neither_json_nor_text() -> None:
    stated = PLAIN._replace(headers=(("Content-Length", "20"), ("X-A", "b")))

    body = read_fault({"type": "garbage", "size": 100}).apply(stated, KEY)
    other = read_fault({"type": "garbage", "size": 100}).apply(stated, bytes(16))
    reply = read_fault({"type": "garbage", "size": 100, "instead_of": "reply"}).apply(stated, KEY)

    assert (len(bytes_of(body)), body.headers, body.source) == (100, (("X-A", "b"),), "fault")
    with pytest.raises(UnicodeDecodeError):
        bytes_of(body).decode()
    assert bytes_of(other) != bytes_of(body) == bytes_of(reply)
    assert (body.disturbance, reply.disturbance) == (None, DeliveryFault(DeliveryFaultKind.GARBAGE))


TEXTS = st.one_of(
    st.binary(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: json.dumps(value).encode()),
    st.lists(st.just(b'{"a":1}'), max_size=4).map(b"\n".join),
)


@given(TEXTS)
def test_broken_json_is_no_json_and_otherwise_the_same_reply(text: bytes) -> None:
    broken = read_fault({"type": "broken_json"}).apply(PLAIN._replace(body=text), KEY)

    assert not is_json(bytes_of(broken))
    assert broken._replace(body=b"", source="") == PLAIN._replace(body=b"", source="")


def test_broken_json_is_the_first_half_where_that_is_broken_anyway() -> None:
    broken = read_fault({"type": "broken_json"}).apply(PLAIN._replace(headers=(("content-length", "20"),)), KEY)

    assert broken.body == b'{"id":"1",'
    assert broken.headers == ()


def test_of_a_stream_half_of_its_first_part_is_left() -> None:
    broken = read_fault({"type": "broken_json"}).apply(PLAIN._replace(body=parts()), KEY)

    assert not isinstance(broken.body, bytes)
    assert list(broken.body) == [b"data: "]
    assert list(read_fault({"type": "broken_json"}).apply(PLAIN._replace(body=iter(())), KEY).body) == [b"{"]


def bytes_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


@dataclass(frozen=True)
class Doubled(Fault):
    sees = "Everything twice."

    times: float = number_field(1, 2, default=2.0)


def test_a_new_fault_needs_one_class_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "FAULTS", {**FAULTS, "doubled": Doubled})
    monkeypatch.setattr(faults, "WORDS", {**faults.WORDS, Doubled: "doubled"})

    fault = read_fault({"type": "doubled"})

    assert fault.described() == {"type": "doubled", "times": 2.0}
    assert Schema(fault_schema(), {}).accepts({"type": "doubled", "times": 1.5})
    assert not Schema(fault_schema(), {}).accepts({"type": "doubled", "times": 3})
    assert faults_json()[-1] == {
        "type": "doubled",
        "fields": [{"name": "times", "wanted": "1 to 2", "default": 2.0}],
        "sees": "Everything twice.",
    }
    with pytest.raises(NotImplementedError):
        fault.apply(PLAIN, KEY)
