"""The command `mockserver report`: fetches verdict, coverage or a contract from a running server and writes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mockserver.client.client import DEFAULT, AdminError, Client
from mockserver.errors import SettingsError
from mockserver.text import format_count
from mockserver.verify.reports import (
    cobertura,
    coverage_sentence,
    coverage_table,
    junit,
    verdict_sentence,
    verdict_text,
)

NEVER = "never"
FAILING = {
    "info": {"info", "warning", "error"},
    "warning": {"warning", "error"},
    "error": {"error"},
    NEVER: set[str](),
}
"""By value of `--fail-on`, the severities that fail the report."""
ALL = "all"
NO_VERDICT = (
    "nothing could be checked: all journals are empty (a sandbox of the pytest fixture is deleted after its test; "
    "mockserver_fail_on checks it before)"
)


class ServerReport(NamedTuple):
    """Verdict and coverage of a server."""

    verdict: Mapping[str, Any]
    coverage: Mapping[str, Any]

    def written(self, form: str) -> bytes:
        """The report as text, json, junit or cobertura."""
        if form == "json":
            return json.dumps(self._asdict(), indent=2).encode() + b"\n"
        if form == "junit":
            return junit(self.coverage, None if self.has_no_verdict else self.verdict)
        if form == "cobertura":
            return cobertura(self.coverage)
        verdict = f"{NO_VERDICT}\n" if self.has_no_verdict else verdict_text(self.verdict)
        return f"{coverage_table(self.coverage)}\n{verdict}".encode()

    def summary(self) -> str:
        """A summary in one line."""
        if self.is_empty:
            return f"nothing was checked: {coverage_sentence(self.coverage)}"
        verdict = NO_VERDICT if self.has_no_verdict else verdict_sentence(self.verdict)
        return f"{coverage_sentence(self.coverage)}; {verdict}"

    def fails(self, fail_on: str) -> bool:
        """Whether it has a finding of a failing severity."""
        return any(each["severity"] in FAILING[fail_on] for each in self.verdict["findings"])

    @property
    def is_empty(self) -> bool:
        """Whether no documented operation occurred, so that nothing can be checked."""
        return not self.coverage["checked"]

    @property
    def has_no_verdict(self) -> bool:
        """Whether all journals are empty, so that there is no verdict."""
        return not (self.verdict["judged"] or self.verdict["dropped"])

    def lacks(self, fail_on: str) -> bool:
        """Whether there is no result: no response at all, or no verdict if findings matter."""
        return self.is_empty or (self.has_no_verdict and fail_on != NEVER)


def format_findings(verdict: Mapping[str, Any], fail_on: str) -> str:
    """The findings of this severity or worse as text; empty if there is none."""
    found = [each for each in verdict["findings"] if each["severity"] in FAILING[fail_on]]
    lines = [f"{each['severity']}: {each['code']}: {each['sentence']}\n  {each['advice']}" for each in found]
    return "\n".join([f"the client behaved badly (fail_on is {fail_on}):", *lines]) if found else ""


def fetch_report(url: str, *, sandbox: str, admin_token: str, timeout: float) -> ServerReport:
    """The report on one sandbox, or all; raises SettingsError if the server does not answer."""
    query = {"scope": "server" if sandbox == ALL else "sandbox"}
    names = ("verdict", "coverage")
    return ServerReport(*_ask(url, names, sandbox=sandbox, query=query, admin_token=admin_token, timeout=timeout))


def _ask(
    url: str,
    names: Sequence[str],
    *,
    sandbox: str,
    query: Mapping[str, str | None],
    admin_token: str,
    timeout: float,
) -> list[Mapping[str, Any]]:
    """The answers of admin routes about one sandbox, or all; raises SettingsError."""
    # Header values are bytes; the server decodes names as UTF-8.
    named = DEFAULT if sandbox == ALL else sandbox.encode().decode("latin-1")
    try:
        with Client(url, admin_token, timeout=timeout) as client:
            return [client.ask(f"GET /{one}", sandbox=named, query=query) for one in names]
    except ValueError as error:
        raise SettingsError(f"--url is {url!r}; wanted http://HOST:PORT") from error
    except AdminError as error:
        reason = str(error) if error.status else f"{error.detail}; is the server running?"
        raise SettingsError(f"{url} cannot be asked: {reason}") from error


def fetch_pact(
    url: str, *, sandbox: str, consumer: str, provider: str, admin_token: str, timeout: float
) -> Mapping[str, Any] | None:
    """The contract with one API; None if it was not called. Raises SettingsError, also if several were called."""
    query = {"scope": "server" if sandbox == ALL else "sandbox", "consumer": consumer, "provider": provider or None}
    pacts = _ask(url, ("pact",), sandbox=sandbox, query=query, admin_token=admin_token, timeout=timeout)[0]["pacts"]
    if len(pacts) > 1:
        names = " and ".join(repr(each["provider"]["name"]) for each in pacts)
        raise SettingsError(f"{names} were called, and a Pact file is about one API: name one with --provider")
    return pacts[0] if pacts else None


def pact_summary(pact: Mapping[str, Any] | None) -> str:
    """A summary in one line."""
    if pact is None:
        return "nothing was sent that the document allows"
    left_out = pact["metadata"]["mockserver"]["left_out"]
    more = "; left out: " + ", ".join(f"{count} {why}" for why, count in left_out.items()) if left_out else ""
    count = format_count(len(pact["interactions"]), "interaction")
    return f"{count} of {pact['consumer']['name']} and {pact['provider']['name']}{more}"


def write_report(content: bytes, path: str) -> None:
    """Write to a file; raises SettingsError if that fails."""
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise SettingsError(f"--output is {path!r}, which cannot be written: {error}") from error
