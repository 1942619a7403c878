"""Set-ups: what a scenario does to a sandbox, that doing it twice is doing it once, and that it is all or nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.sandbox.batches import Batch, Progression
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.conditions import NORMAL, Conditions
from mockserver.sandbox.sandbox import Sandbox, SandboxDefaults
from mockserver.sandbox.scenario import ScenarioError, read_actions
from mockserver.stores import open_store

AT = "1970-01-01T00:33:20Z"
"""2,000 Unix seconds, a thousand after the sandbox's beginning."""
SETUPS: Any = st.fixed_dictionaries(
    {},
    optional={
        "accounts": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "token": st.sampled_from(["a", "b"]),
                    "credits": st.integers(0, 99),
                    "revoked": st.booleans(),
                },
            ),
            max_size=4,
        ),
        "clock": st.fixed_dictionaries(
            {}, optional={"at": st.just(AT), "frozen": st.just(True), "scale": st.floats(0.5, 9)}
        ),
        "progression": st.sampled_from(["immediate", "time:5", "polls:3"]),
        "conditions": st.fixed_dictionaries({}, optional={"retention": st.integers(1, 9), "keep_order": st.booleans()}),
        "stubs": st.lists(
            st.sampled_from([{"status": 500}, {"status": 503, "for": 60, "probability": 0.5}]), max_size=3
        ),
        "faults": st.lists(st.just({"fault": {"type": "latency", "seconds": 1}}), max_size=2),
    },
)


@pytest.fixture(scope="session")
def make_sandbox(make_beginnings: Callable[..., SandboxDefaults]) -> Callable[[], Sandbox]:
    return lambda: Sandbox("box", open_store(), make_beginnings())


def apply(sandbox: Sandbox, reset: bool = False, name: str = "some", **content: Any) -> None:
    read_actions(name, content).apply(sandbox, magic=True, reset=reset)


def facts_of(sandbox: Sandbox) -> Any:
    """All that a set-up can change."""
    clock, now = sandbox.clock, sandbox.clock.now()
    opened = [sandbox.accounts.find(token, now, magic=True) for token in ("a", "b", "new")]
    return (
        (now, clock.is_frozen, clock.scale, clock.born),
        [(it.key, it.email, sandbox.accounts.balance(it, now), it.is_revoked(now)) for it in opened if it],
        (sandbox.progression, sandbox.conditions, sandbox.accounts.terms, sandbox.rules.installed),
    )


@given(SETUPS)
def test_applying_a_scenario_twice_has_the_effect_of_once(make_sandbox: Callable[[], Sandbox], content: Any) -> None:
    once, twice = make_sandbox(), make_sandbox()

    apply(once, **content)
    apply(twice, **content)
    apply(twice, **content)

    assert facts_of(once) == facts_of(twice)


@given(SETUPS, SETUPS)
def test_applying_a_scenario_after_a_reset_leaves_no_earlier_state(
    make_sandbox: Callable[[], Sandbox], before: Any, content: Any
) -> None:
    fresh, used = make_sandbox(), make_sandbox()
    apply(used, name="other", **before)

    apply(fresh, **content)
    apply(used, reset=True, **content)

    assert facts_of(fresh) == facts_of(used)


@given(SETUPS)
def test_fields_that_a_scenario_omits_are_unchanged(make_sandbox: Callable[[], Sandbox], content: Any) -> None:
    sandbox = make_sandbox()
    apply(sandbox, **content)
    before = facts_of(sandbox)

    apply(sandbox, name="empty")

    assert facts_of(sandbox) == before


def test_an_account_without_a_token_applies_to_all_accounts(
    make_sandbox: Callable[[], Sandbox],
) -> None:
    sandbox = make_sandbox()
    assert sandbox.accounts.find("met", 1000, magic=True) is not None
    apply(sandbox, accounts=[{"credits": 7}, {"token": "named", "credits": 9, "email": "n@example.com"}])
    apply(sandbox, name="later", accounts=[{"revoked": True}])

    now = sandbox.clock.now()
    tokens = ("met", "named", "new", "mock-no-credits")
    found = [sandbox.accounts.find(token, now, magic=True) for token in tokens]
    assert [(sandbox.accounts.balance(it, now), it.is_revoked(now)) for it in found if it] == [
        (7, True),
        (9, True),
        (7, True),
        (7, True),
    ]
    assert found[1] is not None
    assert found[1].email == "n@example.com"


def test_a_scenario_opens_the_account_that_it_names_also_in_a_closed_api(
    make_beginnings: Callable[..., SandboxDefaults],
) -> None:
    sandbox = Sandbox("box", open_store(), make_beginnings()._replace(closed={"": frozenset()}))
    apply(sandbox, accounts=[{"token": "named", "credits": 9}])

    found = [sandbox.accounts.find(token, 1000, magic=True) for token in ("named", "unnamed")]

    assert [each is not None for each in found] == [True, False]


def test_tokens_can_be_revoked_after_a_time_and_restored(
    make_sandbox: Callable[[], Sandbox],
) -> None:
    sandbox = make_sandbox()
    sandbox.accounts.find("met", 1000, magic=True)

    def are_revoked(now: float) -> tuple[bool, ...]:
        found = [sandbox.accounts.find(token, 1003, magic=True) for token in ("met", "new")]
        return tuple(each.is_revoked(now) for each in found if each)

    apply(sandbox, accounts=[{"revoked_after": 5}])
    assert [are_revoked(now) for now in (1004.9, 1005)] == [(False, False), (True, True)]

    apply(sandbox, accounts=[{"revoked": False}])
    assert are_revoked(1e9) == (False, False)


def test_the_clock_can_be_set_to_any_time_while_the_sandbox_is_empty(make_sandbox: Callable[[], Sandbox]) -> None:
    sandbox = make_sandbox()

    apply(sandbox, clock={"at": "1970-01-01T00:00:05Z"})

    assert (sandbox.clock.now(), sandbox.clock.born) == (5.0, 5.0)


def test_with_batches_the_clock_cannot_be_set_back_and_a_rejected_scenario_changes_nothing(
    make_sandbox: Callable[[], Sandbox], make_batch: Callable[..., Batch]
) -> None:
    sandbox = make_sandbox()
    sandbox.batches.put("one", make_batch())
    before = facts_of(sandbox)
    rest: Any = {
        "accounts": [{"credits": 1}],
        "progression": "polls:9",
        "conditions": {"retention": 1},
        "stubs": [{"status": 500}],
    }

    with pytest.raises(ValueError, match=r"moves forward only.*reset=true"):
        apply(sandbox, clock={"at": "1970-01-01T00:00:05Z"}, **rest)
    assert facts_of(sandbox) == before

    apply(sandbox, clock={"at": AT}, **rest)
    assert (sandbox.clock.now(), sandbox.progression) == (2000.0, Progression("polls", 9))
    assert sandbox.batches
    apply(sandbox, reset=True, clock={"at": "1970-01-01T00:00:05Z"}, **rest)
    assert sandbox.clock.now() == 5.0
    assert not sandbox.batches


def test_stubs_of_a_scenario_are_appended_and_too_many_change_nothing(
    make_sandbox: Callable[[], Sandbox],
) -> None:
    sandbox = make_sandbox()
    many = [{"status": 500}] * 90
    for n in range(11):
        apply(sandbox, name=f"s{n}", stubs=many)
    before = facts_of(sandbox)

    with pytest.raises(ValueError, match="at most"):
        apply(sandbox, name="s11", stubs=many, conditions={"retention": 1}, clock={"scale": 7})

    assert facts_of(sandbox) == before
    assert [rule.origin for rule in sandbox.rules.installed[::90]] == [f"scenario:s{n}" for n in range(11)]
    apply(sandbox, name="s3", stubs=[{"status": 404}])
    assert len(sandbox.rules.installed) == 901


def test_stubs_are_queued_for_one_request_and_faults_stay(make_sandbox: Callable[[], Sandbox]) -> None:
    sandbox = make_sandbox()

    apply(sandbox, stubs=[{"status": 500}, {"status": 500, "times": 3}], faults=[{"fault": {"type": "reset"}}])

    assert [rule.times for rule in sandbox.rules.installed] == [1, 3, None]


def test_durations_count_from_the_clock_of_the_scenario(make_sandbox: Callable[[], Sandbox]) -> None:
    sandbox = make_sandbox()

    apply(sandbox, clock={"at": AT}, stubs=[{"status": 500, "for": 60}], accounts=[{"token": "a", "revoked_after": 9}])

    assert sandbox.rules.installed[0].until == 2060
    found = sandbox.accounts.find("a", 2000, magic=True)
    assert found is not None
    assert found.revoked_at == 2009


def test_resetting_the_state_removes_account_overrides(make_sandbox: Callable[[], Sandbox]) -> None:
    sandbox = make_sandbox()
    apply(sandbox, accounts=[{"credits": 0}], conditions={"retention": 1})

    sandbox.reset_state()
    assert sandbox.conditions == Conditions(retention=1)
    sandbox.reset_conditions()

    found = sandbox.accounts.find("a", 1000, magic=True)
    assert found is not None
    assert sandbox.accounts.balance(found, 1000) > 0
    assert sandbox.conditions is NORMAL


@pytest.mark.parametrize(
    ("content", "location", "message"),
    [
        ({"clock": {"at": "soon"}}, ("clock", "at"), "'soon' came; wanted an ISO 8601 instant"),
        (
            {"conditions": {"capacity": "full"}},
            ("conditions", "capacity"),
            "'full' came; wanted 'free', 'busy' or an ISO 8601 instant",
        ),
        (
            {"stubs": [{"status": 500}, {"status": 500, "until": "2030-01-01"}]},
            ("stubs", 1, "until"),
            "an instant came, which may be over; wanted 'for', in seconds",
        ),
    ],
)
def test_an_invalid_scenario_is_rejected_with_its_place(content: Any, location: Any, message: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        read_actions("some", content)

    assert (raised.value.location, str(raised.value)) == (location, message)


def test_the_clock_stops_at_the_end_of_9999(make_sandbox: Callable[[], Sandbox]) -> None:
    sandbox = make_sandbox()

    apply(sandbox, clock={"at": "9999-12-31T23:59:59.9Z"})

    assert sandbox.clock.now() == LATEST
