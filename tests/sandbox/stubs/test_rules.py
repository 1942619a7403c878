"""The rules of a sandbox: whose turn it is, how often, until when, and how many there may be."""

from typing import Any

import pytest
from builders import make_engine, make_request
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.http import Request
from mockserver.openapi.schema import Schema
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.stubs import rules as rules_module
from mockserver.sandbox.stubs import schema as schema_module
from mockserver.sandbox.stubs.rules import MAX_RULES, MAX_STEPS, MAX_TOTAL, Claim, Rule, Rules, RuleSnapshot
from mockserver.sandbox.stubs.schema import (
    MAX_SIZE,
    RULE_SCHEMA,
    STANDING_FAULT_SCHEMA,
    read_rule,
    restored_rule,
)

NOW = 1000.0
SLOW = {"type": "latency", "seconds": 2}
OUTAGE = {"type": "status", "status": 503}


_in_use: list[Sandbox] = []
"""Rules do not keep their sandbox alive."""


def make_sandbox(name: str = "box") -> Sandbox:
    return make_engine().sandboxes.open(name)


def make_rule(*, origin: str = "next", now: float = NOW, default_times: int | None = 1, **definition: Any) -> Rule:
    return read_rule(definition, origin=origin, now=now, times=default_times)


def make_rules(*definitions: dict[str, Any]) -> Rules:
    sandbox = make_sandbox()
    _in_use.append(sandbox)
    sandbox.rules.install(make_rule(**each) for each in definitions)
    return sandbox.rules


def claim(rules: Rules, operation: str = "op", *, now: float = NOW, json: Any = None, **more: Any) -> Claim:
    return rules.claim(operation, make_request("POST", "/x", json=json), now, **more)


def statuses(rules: Rules, count: int, operation: str = "op") -> list[int]:
    """The statuses that so many requests are answered with; 0 where no rule answers."""
    found = (claim(rules, operation).stub for _ in range(count))
    return [each.reply["status"] if each and each.reply else 0 for each in found]


def test_a_stub_with_times_2_applies_to_two_requests() -> None:
    assert statuses(make_rules({"status": 429, "times": 2}), 4) == [429, 429, 0, 0]


def test_after_skips_the_first_matches() -> None:
    assert statuses(make_rules({"status": 500, "after": 2}), 5) == [0, 0, 500, 0, 0]


def test_stubs_answer_one_after_the_other() -> None:
    assert statuses(make_rules({"status": 500}, {"status": 503, "times": 2}), 4) == [500, 503, 503, 0]


@pytest.mark.parametrize(
    ("times", "until", "claimed", "now", "gone"),
    [
        (None, None, 10**9, 1e12, False),
        (2, None, 1, 0, False),
        (2, None, 2, 0, True),
        (2, None, 3, 0, True),
        (None, 100, 0, 99.9, False),
        (None, 100, 0, 100, True),
        (None, 100, 0, 101, True),
        (2, 100, 2, 99, True),
        (2, 100, 1, 100, True),
        (2, 100, 1, 99, False),
    ],
)
def test_a_rule_is_gone_when_it_was_used_up_or_has_ended(
    times: int | None, until: float | None, claimed: int, now: float, gone: bool
) -> None:
    rule = make_rule(status=500)._replace(times=times, until=until, claimed=claimed)

    assert rule.is_gone(now) is gone


def test_a_rule_without_times_stays() -> None:
    rules = make_rules({"status": 500, "times": None})

    assert statuses(rules, 50) == [500] * 50
    assert rules.installed[0].claimed == 50


def test_the_first_matching_stub_answers_and_the_others_remain() -> None:
    rules = make_rules({"status": 500, "operation": "other"}, {"status": 503}, {"status": 429})

    assert statuses(rules, 1) == [503]
    assert statuses(rules, 1, "other") == [500]
    assert statuses(rules, 2) == [429, 0]
    assert rules.installed == []


def test_faults_add_up_and_apply_to_stubs() -> None:
    rules = make_rules({"fault": SLOW}, {"status": 500}, {"fault": {"type": "empty"}})

    found = claim(rules)

    assert found.stub is not None
    assert [fault.described()["type"] for fault, _ in found.faults] == ["latency", "empty"]
    assert claim(rules) == Claim()


def test_a_status_fault_answers_in_order_with_stubs() -> None:
    rules = make_rules({"fault": OUTAGE, "times": 2}, {"status": 500})

    found = [claim(rules) for _ in range(4)]

    assert [bool(each.faults) for each in found] == [True, True, False, False]
    assert [each.stub.reply if each.stub else "ordinary" for each in found] == [
        None, None, {"status": 500}, "ordinary",
    ]  # fmt: skip


def test_a_request_that_is_answered_already_uses_up_no_stub() -> None:
    rules = make_rules({"status": 500}, {"fault": SLOW, "times": None})

    found = claim(rules, is_answered=True)

    assert found.stub is None
    assert len(found.faults) == 1
    assert statuses(rules, 1) == [500]


def test_a_rule_ends_after_its_time() -> None:
    rules = make_rules({"fault": SLOW, "times": None, "for": 30}, {"fault": SLOW, "times": None, "until": NOW + 60})

    assert [len(claim(rules, now=NOW + passed).faults) for passed in (0, 29.9, 30, 59.9, 60)] == [2, 2, 1, 1, 0]
    assert rules.installed == []


@pytest.mark.parametrize("until", ["x" * 150, "x" * 100])
def test_an_instant_that_is_none_is_shown_up_to_100_characters(until: str) -> None:
    with pytest.raises(ValueError, match=r"^until is ") as refused:
        make_rule(status=500, until=until)

    assert str(refused.value) == f"until is '{'x' * 100}'; wanted an ISO 8601 instant or Unix seconds"


def test_a_rule_has_the_documented_defaults() -> None:
    rule = make_rule(status=500)

    assert (rule.times, rule.after, rule.probability, rule.until) == (1, 0, 1.0, None)
    assert (rule.undocumented, rule.id, rule.matched, rule.claimed, rule.fault) == (False, "", 0, 0, None)
    assert rule.size == len('{"status":500}')
    assert make_rule(status=500, undocumented=True).undocumented


def test_a_draw_equal_to_the_probability_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_module, "digest", lambda *_: bytes([0x80]) + bytes(15))
    rule = make_rule(status=500)

    assert rule._replace(probability=0.5).met().claimed == 0
    assert rule._replace(probability=0.51).met().claimed == 1


def test_until_may_be_an_iso_8601_instant() -> None:
    assert make_rule(status=500, until="1970-01-01T00:17:00Z").until == 1020.0
    assert make_rule(status=500, until=1e300).until == 253_402_300_799.0


@pytest.mark.parametrize("until", ["soon", 1000, 999.0, -1, float("nan"), "1970-01-01"])
def test_until_must_be_in_the_future(until: Any) -> None:
    with pytest.raises(ValueError, match="until is"):
        make_rule(status=500, until=until)


def test_a_reply_with_a_fault_has_one_status() -> None:
    with pytest.raises(ValueError, match="wanted one of them"):
        make_rule(status=500, fault=OUTAGE)


@pytest.mark.parametrize("name", ["Content-Type", "CONTENT-LENGTH", "transfer-encoding", "Connection"])
def test_a_response_cannot_set_framing_headers(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make_rule(reply={"status": 500, "headers": {name: "1"}})


@pytest.mark.parametrize("depth", [240, 252, 400])
def test_a_rule_that_cannot_be_shown_as_json_is_rejected(depth: int) -> None:
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]

    with pytest.raises(ValueError, match="too deeply"):
        make_rule(status=500, body=deep)


def test_a_rule_has_a_bounded_size() -> None:
    assert make_rule(reply={"text": "x" * (MAX_SIZE - 100)}).size <= MAX_SIZE
    with pytest.raises(ValueError, match=f"at most {MAX_SIZE}"):
        make_rule(reply={"text": "x" * MAX_SIZE})


def test_a_sandbox_holds_a_bounded_number_of_rules() -> None:
    rules = make_rules(*({"status": 500} for _ in range(MAX_RULES)))
    before = list(rules.installed)

    with pytest.raises(ValueError, match=f"at most {MAX_RULES}"):
        rules.install([make_rule(status=500)])

    assert rules.installed == before
    rules.install([make_rule(status=500)], instead_of="next")
    assert len(rules.installed) == 1


def test_a_sandbox_holds_rules_of_a_bounded_size() -> None:
    rules = make_rules()
    large = make_rule(reply={"text": "x" * (MAX_SIZE - 100)})
    rules.install([large] * (MAX_TOTAL // MAX_SIZE))

    with pytest.raises(ValueError, match=f"at most {MAX_TOTAL}"):
        rules.install([large])


def test_the_limits_of_a_sandbox_s_rules_are_the_documented_numbers() -> None:
    assert (MAX_SIZE, MAX_RULES, MAX_TOTAL, MAX_STEPS) == (262_144, 1000, 16_777_216, 50_000)
    assert (schema_module.MAX_TIMES, schema_module.MAX_SPAN) == (1_000_000_000, 1e12)


def test_a_rule_may_be_as_large_as_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_module, "MAX_SIZE", 14)

    assert make_rule(status=500).size == 14
    with pytest.raises(ValueError, match=r"^the rule has 24 bytes; wanted at most 14$"):
        make_rule(status=500, after=1)


@pytest.mark.parametrize(
    ("limit", "most", "complaint"),
    [
        ("MAX_RULES", 3, "there would be 4 rules; a sandbox holds at most 3"),
        ("MAX_TOTAL", 69, "the rules would have 92 bytes; a sandbox holds at most 69"),
        (
            "MAX_STEPS",
            3,
            "`body` and `body_at` of all rules would have 4 values and steps of pointers; a sandbox holds at most 3",
        ),
    ],
)
def test_a_sandbox_is_filled_up_to_each_limit(
    monkeypatch: pytest.MonkeyPatch, limit: str, most: int, complaint: str
) -> None:
    monkeypatch.setattr(rules_module, limit, most)
    rules = make_rules(*({"status": 500, "body": 1} for _ in range(3)))

    with pytest.raises(ValueError, match=r".") as refused:
        rules.install([make_rule(status=500, body=1)])

    assert str(refused.value) == complaint
    assert len(rules.installed) == 3


def test_rules_of_one_origin_are_replaced_and_removed() -> None:
    rules = make_rules({"status": 500}, {"fault": SLOW, "origin": "fault"})

    rules.install([make_rule(fault=OUTAGE, origin="fault")], instead_of="fault")

    assert [each.origin for each in rules.installed] == ["next", "fault"]
    assert rules.remove(lambda each: each.origin == "fault") == 1
    assert rules.remove() == 1
    assert rules.remove() == 0


def test_stub_ids_follow_from_the_definition_and_are_unique() -> None:
    box, other = make_sandbox(), make_sandbox()

    first, second = box.rules.install([make_rule(status=500), make_rule(status=500)])
    other.rules.install([make_rule(status=503)])
    assert other.rules.install([make_rule(status=500)])[0].id == first.id != second.id

    box.reset_state()  # the ids begin anew, the rules stay
    assert len({first.id, second.id, box.rules.install([make_rule(status=500)])[0].id}) == 3


def test_an_id_that_is_taken_is_derived_again() -> None:
    given = iter(["stub-1", "stub-1", "stub-2", "stub-1", "stub-2", "stub-3"])
    rules = Rules(lambda *_: next(given))

    assert [each.id for each in rules.install([make_rule(status=500), make_rule(status=500)])] == ["stub-1", "stub-2"]
    assert [each.id for each in rules.install([make_rule(status=500)])] == ["stub-3"]


class CountingCell:
    """State that counts how often it is written, and may be written by another process."""

    def __init__(self) -> None:
        self.value: tuple[RuleSnapshot, ...] = ()
        self.writes = 0

    def get(self) -> tuple[RuleSnapshot, ...]:
        return self.value

    def put(self, value: tuple[RuleSnapshot, ...]) -> None:
        self.value = value
        self.writes += 1


def test_the_state_is_written_only_when_a_rule_changes() -> None:
    state = CountingCell()
    rules = Rules(Sandboxed(), state, restored_rule)
    rules.install([make_rule(status=500, operation="op", times=2)])

    claim(rules, "other")
    rules.remove(lambda _: False)
    rules.drop_gone(NOW)
    assert state.writes == 1
    claim(rules)
    assert state.writes == 2
    rules.remove()
    assert (state.writes, state.value) == (3, ())


def test_rules_that_another_process_has_changed_are_restored_once() -> None:
    state, restored = CountingCell(), []

    def restore(kept: RuleSnapshot) -> Rule:
        restored.append(kept.id)
        return restored_rule(kept)

    rules = Rules(Sandboxed(), state, restore)
    others = Rules(Sandboxed(), state, restored_rule)
    [theirs] = others.install([make_rule(status=503, times=2)])

    assert [each.reply for each in rules.installed] == [{"status": 503}]
    assert rules.installed == [theirs._replace(size=rules.installed[0].size)]
    assert restored == [theirs.id]
    claim(others)
    assert [each.claimed for each in rules.installed] == [1]
    state.value = (*state.value,)  # an equal copy of what is known
    assert [each.claimed for each in rules.installed] == [1]
    assert restored == [theirs.id, theirs.id]


def test_a_rule_is_restored_from_its_snapshot() -> None:
    rules = make_rules({"status": 500, "times": 3, "for": 30, "probability": 0.5}, {"fault": OUTAGE, "times": None})
    claim(rules, now=NOW + 10)

    again = make_rules()
    again.install(restored_rule(each.kept()) for each in rules.installed)

    assert [each._replace(size=0) for each in again.installed] == [each._replace(size=0) for each in rules.installed]
    found, expected = ([claim(each, now=NOW + 20) for _ in range(9)] for each in (again, rules))
    assert [(each.stub and each.stub.id, each.faults) for each in found] == [
        (each.stub and each.stub.id, each.faults) for each in expected
    ]


def test_a_reset_removes_the_rules_and_a_reset_of_the_state_does_not() -> None:
    box = make_sandbox()
    box.rules.install([make_rule(status=500)])

    box.reset_state()
    assert len(box.rules.installed) == 1
    box.reset()
    assert box.rules.installed == []


@pytest.mark.parametrize("probability", [0, 0.3, 1])
def test_probability_is_seeded_and_approximately_right(probability: float) -> None:
    definition = {"status": 500, "times": None, "probability": probability}

    first, again = (statuses(make_rules(definition), 1000) for _ in range(2))

    assert first == again
    assert abs(first.count(500) / 1000 - probability) < 0.05


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"operation": "op"},
        {"status": 500, "reply": {"status": 500}},
        {"status": 199},
        {"status": 600},
        {"status": 500, "headers": {"Retry-After": "1"}},
        {"status": 500, "times": 0},
        {"status": 500, "times": 1.5},
        {"status": 500, "after": -1},
        {"status": 500, "probability": 1.1},
        {"status": 500, "for": 0},
        {"status": 500, "for": 1, "until": "2027-01-01"},
        {"status": 500, "path": "v1"},
        {"status": 500, "body": None},
        {"status": 500, "body_at": {"a": 1}},
        {"status": 500, "body_at": {"/~2": 1}},
        {"status": 500, "header": {}},
        {"status": 500, "query": {"a": 1}},
        {"status": 500, "query": {str(n): "1" for n in range(51)}},
        {"reply": {}},
        {"reply": {"body": 1, "text": "1"}},
        {"reply": {"body": 1, "example": "x"}},
        {"reply": {"text": "1", "message": "x"}},
        {"reply": {"status": 500, "headers": {"a b": "1"}}},
        {"reply": {"status": 500, "headers": {"a": "1\r\nb: 2"}}},
        {"reply": {"status": 500, "media_type": "json"}},
        {"fault": {"type": "gremlin"}},
        {"fault": {"type": "latency", "seconds": -1}},
    ],
)
def test_an_invalid_rule_is_rejected_by_the_schema(definition: Any) -> None:
    assert Schema(RULE_SCHEMA, {}).violations(definition)


@pytest.mark.parametrize(
    ("definition", "beyond"),
    [
        ({"status": 200}, {"status": 199}),
        ({"status": 599}, {"status": 600}),
        ({"status": 500, "times": 1}, {"times": 0}),
        ({"status": 500, "times": 1_000_000_000}, {"times": 1_000_000_001}),
        ({"status": 500, "after": 0}, {"after": -1}),
        ({"status": 500, "after": 1_000_000_000}, {"after": 1_000_000_001}),
        ({"status": 500, "probability": 0}, {"probability": -0.1}),
        ({"status": 500, "probability": 1}, {"probability": 1.01}),
        ({"status": 500, "for": 1e-9}, {"for": 0}),
        ({"status": 500, "for": 1e12}, {"for": 2e12}),
        ({"status": 500, "undocumented": False}, {"undocumented": 1}),
        ({"status": 500, "operation": "x"}, {"operation": ""}),
        ({"status": 500, "operation": "x" * 200}, {"operation": "x" * 201}),
        ({"status": 500, "method": "x" * 20}, {"method": "x" * 21}),
        ({"status": 500, "path": "/" + "x" * 2047}, {"path": "/" + "x" * 2048}),
        ({"status": 500, "query": {"a": "x" * 8192}}, {"query": {"a": "x" * 8193}}),
        ({"status": 500, "query": {"a" * 200: ""}}, {"query": {"a" * 201: ""}}),
        ({"status": 500, "header": {"a": ""}}, {"header": {"": ""}}),
        ({"status": 500, "header": {str(n): "" for n in range(50)}}, {"header": {str(n): "" for n in range(51)}}),
        ({"status": 500, "body": False}, {"body": None}),
        ({"status": 500, "body_at": {"": None}}, {"body_at": {}}),
        ({"status": 500, "body_at": {"/" + "x" * 499: 1}}, {"body_at": {"/" + "x" * 500: 1}}),
        ({"status": 500, "body_at": {f"/{n}": 1 for n in range(50)}}, {"body_at": {f"/{n}": 1 for n in range(51)}}),
        ({"reply": {"status": 200}}, {"reply": {"status": 199}}),
        ({"reply": {"example": "x"}}, {"reply": {"example": ""}}),
        ({"reply": {"example": "x" * 200}}, {"reply": {"example": "x" * 201}}),
        ({"reply": {"message": "x"}}, {"reply": {"message": ""}}),
        ({"reply": {"message": "x" * 2000}}, {"reply": {"message": "x" * 2001}}),
        ({"reply": {"text": "", "media_type": "a/b"}}, {"reply": {"text": "", "media_type": "/b"}}),
        (
            {"reply": {"text": "", "media_type": "a/" + "b" * 198}},
            {"reply": {"text": "", "media_type": "a/" + "b" * 199}},
        ),
        ({"reply": {"text": "", "headers": {"a": 0}}}, {"reply": {"text": "", "headers": {"a": -1}}}),
        ({"reply": {"text": "", "headers": {"a": 2**53}}}, {"reply": {"text": "", "headers": {"a": 2**53 + 2}}}),
        ({"reply": {"text": "", "headers": {"a": "x" * 8192}}}, {"reply": {"text": "", "headers": {"a": "x" * 8193}}}),
        ({"reply": {"text": "", "headers": {"a" * 200: ""}}}, {"reply": {"text": "", "headers": {"a" * 201: ""}}}),
        (
            {"reply": {"text": "", "headers": {f"x-{n}": "" for n in range(50)}}},
            {"reply": {"text": "", "headers": {f"x-{n}": "" for n in range(51)}}},
        ),
        ({"reply": {"text": ""}}, {"reply": {"text": "", "more": 1}}),
        ({"reply": {"text": ""}}, {"more": 1}),
    ],
)
def test_a_field_of_a_rule_may_be_at_its_bound_and_not_beyond(
    definition: dict[str, Any], beyond: dict[str, Any]
) -> None:
    assert Schema(RULE_SCHEMA, {}).accepts(definition)
    assert not Schema(RULE_SCHEMA, {}).accepts({**definition, **beyond})


def test_a_standing_fault_has_no_reply() -> None:
    schema = Schema(STANDING_FAULT_SCHEMA, {})

    assert schema.accepts({"fault": SLOW, "operation": "op", "times": None, "for": 3})
    assert not schema.accepts({"fault": SLOW, "status": 500})
    assert not schema.accepts({"operation": "op"})
    assert not schema.accepts({"fault": SLOW, "more": 1})
    assert not schema.accepts({"fault": SLOW, "for": 3, "until": 2000})


# Against a small model.

DEFINITIONS = st.fixed_dictionaries(
    {"operation": st.sampled_from("ab"), "times": st.none() | st.integers(1, 3), "after": st.integers(0, 3)},
    optional={"until": st.integers(1, 12), "probability": st.sampled_from([0, 0.5, 1])},
).flatmap(lambda each: st.sampled_from([{**each, "status": 500}, {**each, "fault": SLOW}]))


class Model:
    """What one rule should do, said as plainly as can be."""

    def __init__(self, definition: dict[str, Any], chances: list[bool]) -> None:
        self.definition = definition
        self.chances = chances
        self.matched = self.claimed = 0

    def is_gone(self, now: int) -> bool:
        times = self.definition["times"]
        return (times is not None and self.claimed >= times) or bool(now >= self.definition.get("until", 10**6))

    def meet(self) -> bool:
        self.matched += 1
        due: bool = self.matched > self.definition["after"] and self.chances[self.matched]
        self.claimed += due
        return due


def chances_of(rule: Rule, count: int) -> list[bool]:
    """What the draws of a rule say for each match, from the first; asked of a rule that nothing else holds back."""
    it, found = rule._replace(after=0, times=None), [False]
    for _ in range(count):
        before, it = it, it.met()
        found.append(it.claimed > before.claimed)
    return found


@settings(max_examples=200)
@given(st.lists(DEFINITIONS, max_size=5), st.lists(st.sampled_from("ab"), max_size=15))
def test_the_rules_behave_like_a_simple_model(definitions: list[dict[str, Any]], asked: list[str]) -> None:
    rules = Rules(Sandboxed())
    rules.install(make_rule(now=0, **each) for each in definitions)
    named = {each.id: f"{n}" for n, each in enumerate(rules.installed)}
    models = [Model(each.definition, chances_of(each, len(asked))) for each in rules.installed]  # type: ignore[arg-type]  # a dict

    for now, operation in enumerate(asked):
        found = rules.claim(operation, Request("GET", "/x"), now)

        answered, faults = "", 0
        for number, model in enumerate(models):
            replies = "status" in model.definition
            if model.is_gone(now) or model.definition["operation"] != operation or (replies and answered):
                continue
            if model.meet():
                answered, faults = (str(number), faults) if replies else (answered, faults + 1)
        assert (named[found.stub.id] if found.stub else "") == answered
        assert len(found.faults) == faults
        assert [each.id for each in rules.installed if not each.is_gone(now)] == [
            id_ for id_, number in named.items() if not models[int(number)].is_gone(now)
        ]


class Sandboxed:
    """Ids as a sandbox gives them, without the sandbox."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, operation: str, body: bytes) -> str:
        self.given += 1
        return f"{operation}-{self.given}"


@settings(max_examples=100)
@given(DEFINITIONS, st.lists(st.booleans(), max_size=30))
def test_requests_that_do_not_match_change_nothing(definition: dict[str, Any], matching: list[bool]) -> None:
    """The same requests have the same outcomes, whatever was asked in between."""
    definition = {name: value for name, value in definition.items() if name != "until"}
    mixed, alone = (Rules(Sandboxed()) for _ in range(2))
    for rules in (mixed, alone):
        rules.install([make_rule(now=0, **definition)])

    in_between = [mixed.claim(definition["operation"] if it else "z", Request("GET", "/x"), 0) for it in matching]
    on_its_own = [alone.claim(definition["operation"], Request("GET", "/x"), 0) for it in matching if it]

    assert [each for each, it in zip(in_between, matching, strict=True) if it] == on_its_own
    assert all(each == Claim() for each, it in zip(in_between, matching, strict=True) if not it)
