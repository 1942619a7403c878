"""Who lends sandboxes, what an environment leads to, and the test kit of those who do without pytest."""

import asyncio
import os
import re
import subprocess
import sys
import unittest
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.client.client import AdminError, Client
from mockserver.client.transport import Answer, AsgiTransport, HttpTransport, read_answer
from mockserver.errors import Reason
from mockserver.http import Request, Response
from mockserver.redaction import account_key
from mockserver.sandbox.journal import Exchange
from mockserver.testing.pool import (
    RUN,
    LocalPool,
    RemotePool,
    SandboxApp,
    environment_for,
    run_scoped_name,
    sandbox_name,
    variables_removed,
    variables_set,
)
from mockserver.testing.unittest import (
    SandboxTestCase,
    UnexpectedRequests,
    asgi_app,
    format_journal,
    frozen_settings,
    journal_text,
    leased_sandbox,
    running_pool,
    running_server,
)
from mockserver.web.admin.views import exchange_summary

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def app() -> Iterator[SandboxApp]:
    app = asgi_app(frozen_settings(clock="frozen@2026-04-12"))
    yield app
    app.client.close()


@pytest.fixture(scope="module")
def host() -> Iterator[LocalPool]:
    with running_pool() as host:
        yield host


class Counting(HttpTransport):
    asked = 0

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.asked += 1
        return super().ask(method, target, headers, body)


@given(st.text(), st.sampled_from(["", "gw0", "gw11"]))
def test_the_sandbox_name_of_any_test_is_a_token_without_magic(test: str, worker: str) -> None:
    name = sandbox_name(test, worker)

    assert re.fullmatch(r"test-[A-Za-z0-9._-]{12,190}", name)
    assert name == sandbox_name(test, worker)
    assert worker in name


@given(st.lists(st.tuples(st.text(max_size=5), st.sampled_from(["", "gw0", "gw1"])), unique=True))
def test_no_two_tests_share_a_sandbox_name(tests: list[tuple[str, str]]) -> None:
    assert len({sandbox_name(*each) for each in tests}) == len(tests)


@given(st.lists(st.tuples(st.text(max_size=200), st.text(max_size=60)), unique=True))
def test_run_ids_give_different_sandbox_names_and_without_one_it_is_unchanged(loans: list[tuple[str, str]]) -> None:
    tests = [(sandbox_name(test), run) for test, run in loans]
    names = {run_scoped_name(*each) for each in tests}

    assert len(names) == len(set(tests))
    assert all(re.fullmatch(r"(run|test)-[A-Za-z0-9._-]{12,196}", name) for name in names)
    assert all(run_scoped_name(name, "") == name for name, _ in tests)


def test_the_longest_sandbox_name_has_room_for_a_run_id() -> None:
    names = {run_scoped_name("x" * 199 + last, run) for last in "12" for run in ("a", "b" * 1000)}

    assert len(names) == 4
    assert max(map(len, names)) <= 200


def test_two_runs_on_one_server_do_not_replace_each_others_sandboxes(host: LocalPool) -> None:
    runs = [RemotePool(host.url, run=mark) for mark in ("job 1", "job 2", "")]
    mine, others, unmarked = (each.acquire("same") for each in runs)
    mine.credits, others.credits = 1, 2

    again = runs[1].acquire("same")

    assert (mine.credits, again.credits, unmarked.name) == (1, 1_000_000_000, "same")
    assert mine.name.startswith("test-run-job-1-")
    assert {each.name for each in (mine, others, unmarked)} <= {row["name"] for row in host.client.sandboxes()}
    for run, lent_ in zip(runs, (mine, again, unmarked), strict=True):
        run.release(lent_)
        run.client.close()


def test_a_run_id_does_not_change_the_ids_of_a_sandbox(host: LocalPool) -> None:
    def queued(run: str) -> list[str]:
        remote = RemotePool(host.url, run=run)
        sandbox = remote.acquire("steady")
        asked = [
            httpx.post(f"{host.url}/ai/batches", json={"prompts": ["one"]}, headers=sandbox.headers) for _ in range(2)
        ]
        sandbox.reset("state")
        asked.append(httpx.post(f"{host.url}/ai/batches", json={"prompts": ["two"]}, headers=sandbox.headers))
        remote.release(sandbox)
        remote.client.close()
        return [each.json()["id"] for each in asked]

    assert queued("job 1") == queued("job 2") == queued("")


def test_the_run_id_may_come_from_the_environment(host: LocalPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN, "job-7")

    marks = [RemotePool(host.url).run, RemotePool(host.url, run="other").run, RemotePool(host.url, run="").run]

    assert marks == ["job-7", "other", ""]


def test_a_server_in_this_process_ignores_the_run_id(host: LocalPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN, "job-7")

    with leased_sandbox(host, "plain") as sandbox:
        assert sandbox.name == "plain"


def test_long_names_that_begin_or_end_alike_differ() -> None:
    names = {sandbox_name(f"{a}{'x' * 500}{b}") for a in "12" for b in "34"}

    assert len(names) == 4
    assert max(map(len, names)) <= 200


def test_a_leased_sandbox_is_new_frozen_and_pinned(host: LocalPool) -> None:
    first = host.acquire("one")
    first.credits = 3
    again = host.acquire("one")

    assert again.credits == 1_000_000_000
    assert again.clock.is_frozen
    assert again.progression == "polls:2"
    assert [row["held"] for row in host.client.sandboxes() if row["name"] == "one"] == [True]
    host.release(again)
    assert [row for row in host.client.sandboxes() if row["name"] == "one"] == []


def test_acquiring_and_releasing_in_this_process_takes_no_request() -> None:
    with running_pool() as host:
        transport = Counting(host.url)
        local = LocalPool(host.engine, Client(host.url, transport=transport))

        assert local.release(local.acquire("quiet")) == []

    assert transport.asked == 0


def test_acquiring_and_releasing_on_an_external_server_takes_two_requests(host: LocalPool) -> None:
    remote = RemotePool(host.url)
    transport = Counting(host.url)
    remote.client = Client(host.url, transport=transport)

    sandbox = remote.acquire("far")
    httpx.get(f"{remote.url}/ai/nothing", headers=sandbox.headers)
    odd = remote.release(sandbox)
    transport.close()

    assert [row["path"] for row in odd] == ["/ai/nothing"]
    assert transport.asked == 2


def test_sandboxes_of_a_killed_run_are_replaced(host: LocalPool) -> None:
    remote = RemotePool(host.url)
    remote.acquire("again").credits = 1

    sandbox = remote.acquire("again")

    assert sandbox.credits == 1_000_000_000
    sandbox.delete()
    assert remote.release(sandbox) == []
    remote.client.close()


def test_environment_variables_point_to_the_sandbox_and_are_restored(
    host: LocalPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*variables_set(), *variables_removed()):
        monkeypatch.setenv(name, "real")
    monkeypatch.delenv("AGENT_FIRST_TOKEN")
    monkeypatch.setenv("NO_PROXY", "example.com")
    before = dict(os.environ)

    with leased_sandbox(host, "env") as sandbox:
        assert "real" not in os.environ.values()
        assert os.environ["OPENAI_BASE_URL"] == f"{host.url}/v1"
        assert os.environ["AGENT_FIRST_BASE_URL"] == host.url
        assert os.environ["OPENAI_API_KEY"] == os.environ["AGENT_FIRST_TOKEN"] == sandbox.token
        assert os.environ["NO_PROXY"] == "example.com,127.0.0.1"

    assert dict(os.environ) == before


def test_environment_variables_are_restored_after_an_error(host: LocalPool) -> None:
    before = dict(os.environ)

    with pytest.raises(ZeroDivisionError), environment_for(host.client.sandbox("any")):
        raise ZeroDivisionError

    assert dict(os.environ) == before


def test_unexpected_requests_fail_a_lease_unless_allowed_or_failed_already(host: LocalPool) -> None:
    with (
        pytest.raises(UnexpectedRequests, match="GET /ai/nothing -> 404 no-such-path"),
        leased_sandbox(host, "odd") as sandbox,
    ):
        httpx.get(f"{host.url}/ai/nothing", headers=sandbox.headers)

    with leased_sandbox(host, "odd") as sandbox:
        sandbox.allow_unexpected()
        httpx.get(f"{host.url}/ai/nothing", headers=sandbox.headers)

    with pytest.raises(ZeroDivisionError), leased_sandbox(host, "odd") as sandbox:
        httpx.get(f"{host.url}/ai/nothing", headers=sandbox.headers)
        raise ZeroDivisionError


def test_a_journal_that_cannot_be_read_says_so() -> None:
    with running_pool() as host:
        sandbox = host.acquire("gone")

    assert format_journal(sandbox).startswith("the journal cannot be read: GET /__admin/requests")


def test_a_journal_is_short() -> None:
    violation = {"location": ["body", "prompts", 0], "message": "too short"}
    row = {
        "number": 7,
        "method": "POST",
        "path": "/ai/batches",
        "status": 422,
        "reason": "invalid",
        "source": "example",
    }

    text = journal_text([{**row, "violations": [violation] * 5}, {**row, "number": 8, "violations": []}], dropped=6)

    assert text.splitlines() == [
        "(6 earlier ones are not shown)",
        "   7 POST /ai/batches -> 422 invalid [example]",
        *["       body.prompts.0: too short"] * 3,
        "       and 2 more violations",
        "   8 POST /ai/batches -> 422 invalid [example]",
    ]


def test_a_server_runs_inside_a_block() -> None:
    with running_server() as server:
        assert httpx.get(f"{server.url}/health").status_code == 200

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/health")


def test_the_app_needs_no_socket(app: SandboxApp) -> None:
    sandbox = app.sandbox("socketless")

    async def walk() -> str:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=sandbox.base_url, headers=sandbox.headers) as api:
            batch = (await api.post("/ai/batches", json={"prompts": ["Who repairs guitars?"]})).json()
            sandbox.clock.advance(hours=24)  # blocks the loop, and works all the same
            for _ in range(2):
                shown = (await api.get("/ai/batches", params={"id": batch["id"]})).json()
            return (await api.get(shown["url"], params={"format": "ndjson"})).text

    assert "guitar" in asyncio.run(walk())
    assert [each["operation"] for each in sandbox.requests()][:2] == ["queueBatch", "getBatchStatus"]
    assert sandbox.clock.now.isoformat() == "2026-04-13T00:00:00+00:00"


def test_the_asgi_transport_raises_the_errors_of_the_http_transport(app: SandboxApp) -> None:
    with pytest.raises(AdminError, match="404: No admin call"):
        app.sandbox("a").ask("GET /nothing")

    app.client.close()
    assert app.client.version()["name"] == "mockserver"


def test_the_app_leases_sandboxes_as_the_server_does(app: SandboxApp) -> None:
    with leased_sandbox(app, "lent") as sandbox:
        assert sandbox.account("a token/with ü")["key"] == account_key("a token/with ü")


def test_an_answer_that_is_no_json_is_an_error_and_text_is_text() -> None:
    with pytest.raises(AdminError, match="is not JSON"):
        read_answer("GET /x", Answer(200, "application/json", b"{"))
    with pytest.raises(AdminError, match="GET /x: 502: Bad gateway"):
        read_answer("GET /x", Answer(502, "text/html", b"Bad gateway"))
    assert read_answer("GET /x", Answer(200, "text/plain; charset=utf-8", b"a table")) == "a table"


def test_an_error_with_many_violations_shows_some_and_holds_all() -> None:
    violations = [{"location": ["body", n], "message": "wrong"} for n in range(50)]

    error = AdminError("PUT /__admin/faults", 422, "No.", violations)

    assert str(error).count("wrong") == 20
    assert str(error).endswith("and 30 more")
    assert len(error.violations) == 50


def test_a_wrapped_app_has_a_transport() -> None:
    async def small(scope: Mapping[str, object], receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})  # type: ignore[operator]  # what ASGI hands over
        await send({"type": "http.response.body", "body": str(scope["path"]).encode()})  # type: ignore[operator]  # what ASGI hands over

    transport = AsgiTransport(small)
    assert transport.ask("GET", "/a%20b", {}, b"").body == b"/a b"
    transport.close()


class Cases(SandboxTestCase):
    """Run by the test below; by itself it shows the good way, under pytest as under unittest."""

    sandbox_progression = "immediate"

    def ask(self, path: str) -> int:
        connection = HTTPConnection(os.environ["AGENT_FIRST_BASE_URL"].removeprefix("http://"))
        connection.request("GET", path, headers={"Authorization": f"Bearer {os.environ['AGENT_FIRST_TOKEN']}"})
        status = connection.getresponse().status
        connection.close()
        return status

    def test_a_fresh_sandbox(self) -> None:
        self.assertEqual(self.ask("/user"), 200)
        self.assertEqual(self.sandbox.count(), 1)
        self.assertEqual(self.sandbox.progression, "immediate")

    def test_another_one(self) -> None:
        self.assertEqual(self.sandbox.count(), 0)


class AsyncCases(SandboxTestCase, unittest.IsolatedAsyncioTestCase):
    async def test_in_a_loop(self) -> None:
        async with httpx.AsyncClient(base_url=self.sandbox.base_url, headers=self.sandbox.headers) as api:
            assert (await api.get("/user")).status_code == 200
        assert self.sandbox.count() == 1


def test_cases_run_under_plain_unittest(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "from http.client import HTTPConnection\n"
        "from mockserver.testing.unittest import SandboxTestCase\n"
        "class Plain(SandboxTestCase):\n"
        "    def ask(self, path):\n"
        "        connection = HTTPConnection(self.sandbox.base_url.removeprefix('http://'))\n"
        "        connection.request('GET', path, headers=self.sandbox.headers)\n"
        "        self.addCleanup(connection.close)\n"
        "        return connection.getresponse().read()\n"
        "    def test_good(self):\n"
        "        self.ask('/user')\n"
        "    def test_odd(self):\n"
        "        self.ask('/ai/nothing')\n"
        "    def test_bad(self):\n"
        "        self.ask('/user?n=1')\n"
        "        self.fail()\n"
    )
    command = [sys.executable, "-W", "error", "-m", "unittest", "test_plain"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert "Ran 3 tests" in done.stderr
    assert "FAILED (failures=2)" in done.stderr, done.stderr
    assert "UnexpectedRequests" in done.stderr
    assert "GET /user?n=1 -> 200" in done.stderr
    assert done.stderr.count("requests to the sandbox of") == 1


def test_at_most_three_other_sandboxes_are_named(host: LocalPool) -> None:
    with leased_sandbox(host, "test-waiting") as sandbox:
        assert format_journal(sandbox) == "no request came to this sandbox"
        for name in ("one", "two", "three", "four", "with a space"):
            httpx.get(f"{host.url}/user", headers={"Authorization": "Bearer any", "X-Mock-Sandbox": name})
        told = format_journal(sandbox)

    assert told.splitlines()[2:5] == [
        "  'with a space', 1 until now, the latest:",
        "       (not shown)",
        "  'four', 1 until now, the latest:",
    ]
    assert "'two'" not in told
    assert told.splitlines()[-2] == "  and to 2 more"


def test_sandboxes_used_before_or_by_another_test_are_not_named(host: LocalPool) -> None:
    httpx.get(f"{host.url}/user", headers={"Authorization": "Bearer before"})
    with leased_sandbox(host, "test-waiting") as sandbox, leased_sandbox(host, "test-other") as other:
        httpx.get(f"{host.url}/user", headers=other.headers)

        assert format_journal(sandbox) == "no request came to this sandbox"


def test_other_sandboxes_are_named_only_if_no_request_came(host: LocalPool) -> None:
    transport = Counting(host.url)
    sandbox = LocalPool(host.engine, Client(host.url, transport=transport)).acquire("busy")
    httpx.get(f"{host.url}/user", headers=sandbox.headers)

    format_journal(sandbox)
    transport.close()

    assert transport.asked == 2, "how many were seen, and the latest"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b'{"error":{}}', ""),
        (b'{"detail":"No operation has the path /x."}', "No operation has the path /x."),
        (b'{"error":{"message":"mockserver does not imitate GET /x."}}', "mockserver does not imitate GET /x."),
    ],
)
def test_the_detail_of_an_unmatched_request_is_shown_if_readable(body: bytes, told: str) -> None:
    answered = Response(404, "application/json", body)
    exchange = exchange_summary(Exchange(1, 0.0, "", Request("GET", "/x"), answered, Reason.NO_SUCH_PATH, ()))

    shown = journal_text([exchange]).splitlines()

    assert shown[1:] == ([f"       {told}"] if told else [])
