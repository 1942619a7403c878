"""Cases of `unittest` and leases, with a pool that needs no server: who gives back what, and what a failure shows."""

import unittest
from typing import Any

import pytest

from mockserver.client.client import Client
from mockserver.testing import unittest as module
from mockserver.testing.pool import LeasedSandbox, run_scoped_name, sandbox_name
from mockserver.testing.unittest import SandboxTestCase, UnexpectedRequests, journal_text, leased_sandbox

ODD: dict[str, Any] = {
    "number": 3, "method": "GET", "path": "/nothing", "query": "", "status": 404, "reason": "no-such-path",
    "source": "", "violations": [], "detail": "No operation has the path /nothing.",
}  # fmt: skip
SAID = (
    "the program under test sent what the documented APIs do not know (allow_unexpected lets it pass):\n"
    "   3 GET /nothing -> 404 no-such-path\n"
    "       No operation has the path /nothing."
)


class Pool:
    """Notes what it lends and takes back."""

    url = "http://127.0.0.1:9"

    def __init__(self, *odd: Any) -> None:
        self.client = Client(self.url)
        self.odd = list(odd)
        self.lent: list[tuple[str, str, str]] = []
        self.returned: list[str] = []

    def acquire(self, name: str, *, clock: str = "", progression: str = "") -> LeasedSandbox:
        self.lent.append((name, clock, progression))
        return LeasedSandbox(self.client, name)

    def release(self, sandbox: LeasedSandbox) -> list[Any]:
        self.returned.append(sandbox.name)
        return self.odd


def run_case(pool: Pool, test: Any, monkeypatch: pytest.MonkeyPatch, **more: Any) -> unittest.TestResult:
    monkeypatch.setattr(module, "format_journal", lambda _: "(the journal)")
    case = type("Case", (SandboxTestCase,), {"sandbox_host": pool, "test_it": test, **more})
    result = unittest.TestResult()
    case("test_it").run(result)
    return result


def fail(case: Any) -> None:
    case.fail("as expected")


def succeed(_: Any) -> None:
    pass


def allow(case: Any) -> None:
    case.sandbox.allow_unexpected()


def break_(_: Any) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("test", "odd", "failures", "errors", "is_shown"),
    [
        (succeed, (), 0, 0, False),
        (succeed, (ODD,), 1, 0, False),
        (allow, (ODD,), 0, 0, False),
        (fail, (), 1, 0, True),
        (fail, (ODD,), 1, 0, True),
        (break_, (ODD,), 0, 1, True),
    ],
)
def test_a_case_fails_by_itself_or_by_unexpected_requests_and_shows_them_once(  # noqa: PLR0917  one for each parameter
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    test: Any,
    odd: tuple[Any, ...],
    failures: int,
    errors: int,
    is_shown: bool,
) -> None:
    pool = Pool(*odd)

    result = run_case(pool, test, monkeypatch)

    name = sandbox_name(f"{__name__}.Case.test_it")
    assert (len(result.failures), len(result.errors)) == (failures, errors)
    assert pool.lent == [(name, "frozen", "polls:2")]
    assert pool.returned == [name]
    shown = f"\nrequests to the sandbox of {__name__}.Case.test_it:\n(the journal)\n"
    assert capsys.readouterr().err == (shown if is_shown else "")
    if test is succeed and odd:
        assert SAID in result.failures[0][1]


def test_a_case_names_its_clock_and_progression(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool()

    run_case(pool, succeed, monkeypatch, sandbox_clock="2026-01-01", sandbox_progression="immediate")

    assert [each[1:] for each in pool.lent] == [("2026-01-01", "immediate")]


def test_a_lease_has_the_clock_and_the_progression_of_tests() -> None:
    pool = Pool()
    with leased_sandbox(pool, "a"):
        pass
    with leased_sandbox(pool, "b", clock="c", progression="p"):
        pass

    assert pool.lent == [("a", "frozen", "polls:2"), ("b", "c", "p")]
    assert pool.returned == ["a", "b"]


def test_a_lease_ends_with_the_unexpected_requests() -> None:
    with pytest.raises(UnexpectedRequests) as raised, leased_sandbox(Pool(ODD), "a"):
        pass

    assert str(raised.value) == SAID


def test_a_lease_that_failed_shows_that_failure() -> None:
    pool = Pool(ODD)
    with pytest.raises(ZeroDivisionError), leased_sandbox(pool, "a"):
        raise ZeroDivisionError

    assert pool.returned == ["a"]


@pytest.mark.parametrize(
    ("count", "lines"),
    [
        (3, ["       body: wrong"] * 3),
        (4, [*["       body: wrong"] * 3, "       and 1 more violations"]),
    ],
)
def test_three_violations_of_a_request_are_shown(count: int, lines: list[str]) -> None:
    violations = [{"location": ["body"], "message": "wrong"}] * count

    assert journal_text([{**ODD, "detail": "", "violations": violations}]).splitlines()[1:] == lines


def test_a_request_is_shown_with_its_query_and_the_source_of_its_answer() -> None:
    exchange = {
        "number": 12, "reason": "", "violations": [],
        "request": {"method": "GET", "path": "/" + "a" * 300, "query": ""},
        "response": {"status": 200, "source": "stub"},
    }  # fmt: skip
    short = {**exchange, "number": 13, "request": {"method": "GET", "path": "/a", "query": "b=1"}}

    assert journal_text([exchange, short], dropped=1).splitlines() == [
        "(1 earlier ones are not shown)",
        f"  12 GET /{'a' * 199} -> 200 [stub]",
        "  13 GET /a?b=1 -> 200 [stub]",
    ]


def test_the_bounds_of_what_is_shown() -> None:
    assert (module.MAX_EXCHANGES, module.MAX_VIOLATIONS, module.MAX_OTHER_SANDBOXES) == (20, 3, 3)


@pytest.mark.parametrize(
    ("test", "worker", "name"),
    [
        ("tests/test_a.py::test_b[x y]", "gw0", "test-gw0-tests-test_a.py-test_b-x-y-ea32947bf62c"),
        ("a", "", "test-a-d57db07a32c6"),
        ("::", "", "test-e61975a30d02"),
        ("x" * 150, "y" * 150, f"test-{'y' * 100}-{'x' * 100}-f0a893111f29"),
    ],
)
def test_a_test_has_the_same_sandbox_name_on_every_machine(test: str, worker: str, name: str) -> None:
    assert sandbox_name(test, worker) == name


@pytest.mark.parametrize(
    ("name", "run", "scoped"),
    [
        ("mock", "", "mock"),
        ("mock", "r-1", "test-run-r-1-95ca672e5f6f-mock"),
        ("n" * 300, "\u00fc" + "r" * 50, f"test-run-{'r' * 40}-c324f2581a7c-{'n' * 137}"),
        ("a", "?", "test-run-c5477a7d6273-a"),
    ],
)
def test_a_name_on_a_shared_server_has_the_run_id(name: str, run: str, scoped: str) -> None:
    assert run_scoped_name(name, run) == scoped
