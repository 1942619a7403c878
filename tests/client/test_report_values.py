"""What `mockserver report` fetches and says, without a server: scopes, messages, forms and summaries."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from signatures import arguments_by_place_only, defaults_of_functions, imports_at_start

from mockserver.client import client, controls, poll, reads, report, transport
from mockserver.client.report import (
    NO_VERDICT,
    ServerReport,
    fetch_pact,
    fetch_report,
    format_findings,
    pact_summary,
    write_report,
)
from mockserver.client.transport import AdminError, Answer, AsgiTransport, HttpTransport, read_answer
from mockserver.errors import SettingsError

COVERAGE = {"checked": 3, "responses": {"met": 1, "documented": 4, "stubbed": 0}, "operations": []}


class FakeClient:
    """Notes how it was made and what it is asked; the answers are those of the class."""

    made: Any = None
    asked: list[Any]
    answers: dict[str, Any]
    error: Exception | None = None

    def __init__(self, url: str, admin_token: str | None = None, *, timeout: float = 30.0) -> None:
        type(self).made = (url, admin_token, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.asked.append("closed")

    def ask(self, verb: str, *, sandbox: str, query: Mapping[str, Any]) -> Any:
        self.asked.append((verb, sandbox, dict(query)))
        if self.error is not None:
            raise self.error
        return self.answers[verb]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    class Fake(FakeClient):
        asked: list[Any] = []  # noqa: RUF012  of this test only
        answers: dict[str, Any] = {  # noqa: RUF012  as above
            "GET /verdict": {"judged": 1},
            "GET /coverage": COVERAGE,
            "GET /pact": {"pacts": []},
        }

    monkeypatch.setattr(report, "Client", Fake)
    return Fake


@pytest.mark.parametrize(
    ("sandbox", "name", "scope"), [("all", "default", "server"), ("mine", "mine", "sandbox"), ("ü", "Ã¼", "sandbox")]
)
def test_a_report_is_about_one_sandbox_or_all(fake: type[FakeClient], sandbox: str, name: str, scope: str) -> None:
    made = fetch_report("http://h:1", sandbox=sandbox, admin_token="t", timeout=2.5)

    assert made == ServerReport({"judged": 1}, COVERAGE)
    assert fake.made == ("http://h:1", "t", 2.5)
    assert fake.asked == [
        ("GET /verdict", name, {"scope": scope}),
        ("GET /coverage", name, {"scope": scope}),
        "closed",
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("x"), "--url is 'http://h:1'; wanted http://HOST:PORT"),
        (AdminError("GET /verdict", 0, "refused"), "http://h:1 cannot be asked: refused; is the server running?"),
        (AdminError("GET /verdict", 401, "no"), "http://h:1 cannot be asked: GET /verdict: 401: no"),
    ],
)
def test_a_report_that_cannot_be_fetched_says_why(fake: type[FakeClient], error: Exception, message: str) -> None:
    fake.error = error

    with pytest.raises(SettingsError) as refused:
        fetch_report("http://h:1", sandbox="all", admin_token="", timeout=1)

    assert str(refused.value) == message


def pact_of(provider: str, **left_out: int) -> dict[str, Any]:
    return {
        "consumer": {"name": "app"},
        "provider": {"name": provider},
        "interactions": [{}, {}],
        "metadata": {"mockserver": {"left_out": left_out}},
    }


@pytest.mark.parametrize(("provider", "sent"), [("", None), ("One", "One")])
def test_a_contract_is_that_of_the_consumer_with_one_api(
    fake: type[FakeClient], provider: str, sent: str | None
) -> None:
    def fetch() -> Mapping[str, Any] | None:
        return fetch_pact("http://h:1", sandbox="all", consumer="app", provider=provider, admin_token="t", timeout=1)

    assert fetch() is None
    assert fake.asked[0] == ("GET /pact", "default", {"scope": "server", "consumer": "app", "provider": sent})
    fake.answers = {"GET /pact": {"pacts": [pact_of("One")]}}
    assert fetch() == pact_of("One")
    fake.answers = {"GET /pact": {"pacts": [pact_of("One"), pact_of("Two")]}}
    with pytest.raises(SettingsError) as refused:
        fetch()
    assert str(refused.value) == (
        "'One' and 'Two' were called, and a Pact file is about one API: name one with --provider"
    )


def test_the_contract_of_one_sandbox_is_asked_of_it(fake: type[FakeClient]) -> None:
    fetch_pact("http://h:1", sandbox="mine", consumer="app", provider="", admin_token="t", timeout=1)

    assert fake.asked[0] == ("GET /pact", "mine", {"scope": "sandbox", "consumer": "app", "provider": None})


@pytest.mark.parametrize(
    ("pact", "summary"),
    [
        (None, "nothing was sent that the document allows"),
        (pact_of("One"), "2 interactions of app and One"),
        (
            pact_of("One", streamed=2, repeated=1),
            "2 interactions of app and One; left out: 2 streamed, 1 repeated",
        ),
    ],
)
def test_a_contract_is_summed_up_in_one_line(pact: Any, summary: str) -> None:
    assert pact_summary(pact) == summary


def finding(severity: str, code: str) -> dict[str, str]:
    return {"severity": severity, "code": code, "sentence": f"It is {code}.", "advice": f"Mend {code}."}


def test_findings_are_shown_from_the_severity_on() -> None:
    verdict = {"findings": [finding("info", "a"), finding("error", "b"), finding("warning", "c")]}

    assert format_findings(verdict, "warning") == (
        "the client behaved badly (fail_on is warning):\nerror: b: It is b.\n  Mend b.\nwarning: c: It is c.\n  Mend c."
    )
    assert format_findings(verdict, "never") == ""
    assert format_findings({"findings": [finding("info", "a")]}, "error") == ""


def test_a_report_as_json_has_verdict_and_coverage_and_ends_with_a_line_feed() -> None:
    made = ServerReport({"judged": 1}, {"checked": 0})

    assert made.written("json") == (
        b'{\n  "verdict": {\n    "judged": 1\n  },\n  "coverage": {\n    "checked": 0\n  }\n}\n'
    )
    assert json.loads(made.written("json")) == made._asdict()


def test_a_report_without_exchanges_has_no_verdict_in_any_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "coverage_table", lambda _: "TABLE")
    monkeypatch.setattr(report, "coverage_sentence", lambda _: "SENTENCE")
    monkeypatch.setattr(report, "verdict_text", lambda _: "VERDICT")
    monkeypatch.setattr(report, "verdict_sentence", lambda _: "FOUND")
    monkeypatch.setattr(report, "junit", lambda coverage, verdict: b"junit" if verdict is None else b"junit+")
    monkeypatch.setattr(report, "cobertura", lambda _: b"cobertura")
    verdict: dict[str, Any] = {"judged": 0, "dropped": 0, "findings": []}
    without, with_ = ServerReport(verdict, COVERAGE), ServerReport({**verdict, "judged": 1}, COVERAGE)
    nothing = ServerReport({**verdict, "judged": 1}, {"checked": 0})

    assert [each.written("text") for each in (without, with_)] == [
        f"TABLE\n{NO_VERDICT}\n".encode(),
        b"TABLE\nVERDICT",
    ]
    assert [each.written("junit") for each in (without, with_)] == [b"junit", b"junit+"]
    assert with_.written("cobertura") == b"cobertura"
    assert [each.summary() for each in (without, with_, nothing)] == [
        f"SENTENCE; {NO_VERDICT}",
        "SENTENCE; FOUND",
        "nothing was checked: SENTENCE",
    ]


def test_a_report_is_written_to_a_file_or_says_why_not(tmp_path: Path) -> None:
    write_report(b"content", str(tmp_path / "report"))
    missing = str(tmp_path / "no" / "report")

    assert (tmp_path / "report").read_bytes() == b"content"
    with pytest.raises(SettingsError, match=r"cannot be written: .*No such file") as refused:
        write_report(b"content", missing)
    assert str(refused.value).startswith(f"--output is {missing!r}, which cannot be written: ")


def test_the_limits_of_the_client_are_these_numbers() -> None:
    assert (poll.MAX_POLLS, poll.FIRST_PAUSE, poll.LONGEST_PAUSE) == (600.0, 0.005, 0.1)
    assert (reads.SUMMARIES, transport.MAX_MESSAGE) == (100, 20)


@pytest.mark.parametrize(
    ("count", "last"), [(1, "b.0: wrong"), (20, "b.19: wrong"), (21, "and 1 more"), (25, "and 5 more")]
)
def test_an_error_shows_its_first_twenty_violations(count: int, last: str) -> None:
    violations = [{"location": [f"b.{n}"], "message": "wrong"} for n in range(count)]

    error = AdminError("POST /next", 400, "bad", violations)

    lines = str(error).split("\n  ")
    assert lines[0] == "POST /next: 400: bad"
    assert (len(lines), lines[-1]) == (1 + min(count, 20) + (count > 20), last)
    assert len(error.violations) == count


def test_an_error_does_not_repeat_its_message() -> None:
    error = AdminError("POST /next", 0, "wrong here", [{"location": ["a"], "message": "wrong"}, {"location": ["b"]}])

    assert str(error) == "POST /next: no answer: wrong here\n  b: {'location': ['b']}"


@pytest.mark.parametrize(("status", "is_fine"), [(199, False), (200, True), (299, True), (300, False)])
def test_an_answer_is_fine_from_200_to_299(status: int, is_fine: bool) -> None:
    answer = Answer(status, "application/json; charset=utf-8", b'{"a": 1}')

    if is_fine:
        assert read_answer("GET /a", answer) == {"a": 1}
    else:
        with pytest.raises(AdminError) as refused:
            read_answer("GET /a", answer)
        assert (refused.value.status, refused.value.detail) == (status, "{'a': 1}")


def test_what_an_answer_says_is_cut() -> None:
    with pytest.raises(AdminError) as refused:
        read_answer("GET /a", Answer(500, "text/plain", b"x" * 501))
    assert refused.value.detail == "x" * 500
    with pytest.raises(AdminError) as refused:
        read_answer("GET /a", Answer(200, "application/problem+json", b"x" * 201))
    assert refused.value.detail == f"the answer is not JSON: {b'x' * 200!r}"


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ({"detail": "d", "error": {"message": "m"}}, "d"),
        ({"error": {"message": "m"}}, "m"),
        ({"error": "m"}, "{'error': 'm'}"),
        ({}, "{}"),
    ],
)
def test_the_message_of_an_error_is_that_of_a_problem_or_of_an_api(value: Any, detail: str) -> None:
    with pytest.raises(AdminError) as refused:
        read_answer("GET /a", Answer(404, "application/json", json.dumps(value).encode()))

    assert refused.value.detail == detail


@pytest.mark.parametrize("url", ["ftp://h", "h:1", "http://", "", "https:///x"])
def test_a_url_that_is_not_http_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"wanted http://HOST:PORT$") as refused:
        HttpTransport(url)

    assert str(refused.value) == f"the server's URL is {url!r}; wanted http://HOST:PORT"


def test_an_app_is_called_with_the_request_as_a_server_would() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        await send({"type": "other"})

    app_transport = AsgiTransport(app, "h")
    answer = app_transport.ask("GET", "/a%20b?c=d", {"X-Name": "ü"}, b"")
    app_transport.close()

    assert answer == (204, "", b"")
    assert seen == [
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/a b",
            "raw_path": b"/a%20b",
            "query_string": b"c=d",
            "root_path": "",
            "headers": [(b"host", b"h"), (b"x-name", b"\xfc")],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 80),
        }
    ]


@pytest.mark.parametrize(
    ("module", "defaults"),
    [
        (client, {"Client.__init__(timeout)": 30.0, "Client.create_sandbox(hold)": True}),
        (
            controls,
            {
                "Clock.advance(seconds)": 0,
                "Clock.advance(minutes)": 0,
                "Clock.advance(hours)": 0,
                "Clock.advance(days)": 0,
                "Clock.advance(weeks)": 0,
                "SandboxControls.fail(status)": 500,
                "SandboxControls.fail(times)": 1,
            },
        ),
        (poll, {}),
        (reads, {"SandboxReads.wait_for_callback(timeout)": 10}),
        (report, {}),
        (transport, {"HttpTransport.__init__(timeout)": 30.0}),
    ],
)
def test_every_argument_can_be_given_by_name_and_has_this_default(module: Any, defaults: dict[str, Any]) -> None:
    assert (arguments_by_place_only(module), imports_at_start(module)) == ([], [])
    assert defaults_of_functions(module) == defaults
