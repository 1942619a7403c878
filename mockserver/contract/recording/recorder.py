"""Records what passes through the proxy into a folder of fixtures.

Each exchange is redacted in memory and then appended to a file of JSON lines. When the proxy ends, these lines become
`recording.yaml`, which people can read and edit. If it is killed, the next proxy makes that file of what is left.

A thread redacts and writes. It gets the exchanges of GROUP_SECONDS at once: to wake it for each of them would take more
time than to record it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import orjson

from mockserver.contract.capture import BodyCapture, Capture, decoded_body
from mockserver.contract.exchange import RequestCheck
from mockserver.contract.recording.aliases import Aliases
from mockserver.contract.recording.episodes import Episode
from mockserver.contract.recording.folder import (
    RECORDING,
    UNFINISHED,
    finish_recording,
    read_episodes,
    remove_recording,
    write_recording,
)
from mockserver.contract.recording.redact import Redactor
from mockserver.contract.recording.urls import UpstreamUrls
from mockserver.contract.upstream import Headers, UpstreamResponse, UpstreamUrl
from mockserver.engine.build import fixture_schema
from mockserver.engine.engine import Engine
from mockserver.engine.recorded import replay_answer
from mockserver.errors import SettingsError
from mockserver.fixtures.files import FixtureFile, read_fixture_file
from mockserver.fixtures.recordings import (
    BASE_URL,
    BODIES,
    SECTION,
    RequestFacts,
    group_recordings,
    read_recordings,
    request_facts,
)
from mockserver.http import Request, Response
from mockserver.openapi.operations import bare_media_type, is_json
from mockserver.openapi.security import read_credential, read_token
from mockserver.redaction import secrets_in
from mockserver.text import format_count

BODY_BYTES = 32 * 1024 * 1024
"""The most bytes of a body that is recorded."""
INLINE_BYTES = 32 * 1024
"""The most bytes of a body that stands in the fixture file itself."""
SMALL_BYTES = INLINE_BYTES // 16
"""The bytes of a body that is not larger than INLINE_BYTES after its redaction in any case."""
GROUP_SECONDS = 0.1
"""How long an exchange may wait until it is written; a proxy that is killed loses those that wait."""
GROUP_BYTES = 256 * 1024
"""Bytes of exchanges that are written at once."""
WAITING_BYTES = 64 * 1024 * 1024
"""Bytes of exchanges that wait to be written, beyond which the next request waits, too."""
_ENDINGS = {
    "application/json": "json", "application/jsonl": "jsonl", "application/x-ndjson": "jsonl", "application/zip": "zip",
    "text/html": "html", "text/plain": "txt", "text/event-stream": "txt", "text/csv": "csv", "application/xml": "xml",
}  # fmt: skip
_log = logging.getLogger("mockserver")


class Passed(NamedTuple):
    """An exchange that has passed, as it came."""

    request: Request
    """With its body or form, if that was kept."""
    checked: RequestCheck
    status: int
    headers: Headers
    media_type: str
    coding: str
    """The content coding of the answer; empty without one."""
    content: bytes | None
    """The body of the answer; None if it was too large."""
    size: int
    at: float
    seconds: float


class Recorder:
    """Writes one recording."""

    body_bytes = BODY_BYTES

    def __init__(
        self,
        folder: Path,
        upstream: UpstreamUrl,
        *,
        redacts: Sequence[str] = (),
        known: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """`known` are the entries of an earlier session, which are replayed and kept. Raises SettingsError."""
        self._folder = folder
        self._redactor = Redactor(redacts)
        self._known = list(known)
        self._recordings = group_recordings(read_recordings(RECORDING, folder / RECORDING, known))
        self._aliases = Aliases(taken=_ids_in(known))
        self._started = monotonic()
        self._address = str(upstream)
        self.urls = UpstreamUrls(self._address)
        """By which the upstream's URLs in answers lead to the proxy, so that what is behind them is recorded, too."""
        self._thread = ThreadPoolExecutor(1, "mockserver-recorder")
        self._group: list[Passed] = []
        """Exchanges that the thread has not got yet."""
        self._group_bytes = 0
        self._group_timer: asyncio.TimerHandle | None = None
        self._waiting: deque[int] = deque()
        """The bytes of each group that the thread has got."""
        self._bodies = 0
        self.restored: Callable[[bytes], bytes] = bytes
        """Changes what the proxy has changed in a request back in the body of its answer."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lines = (folder / UNFINISHED).open("a+b")
        except OSError as error:
            raise SettingsError(f"--record is {str(folder)!r}, which cannot be written: {error.strerror}") from error

    @property
    def replays(self) -> bool:
        """Whether requests that are recorded are not passed on."""
        return bool(self._known)

    def replay(self, engine: Engine, request: Request, checked: RequestCheck) -> Response | None:
        """The recorded answer of an earlier session; None if the request is to be passed on."""
        if checked.service is None:
            return None
        facts = _facts(request, checked)
        sandbox = engine.sandboxes.open(engine.lane(request))
        with sandbox.transaction:
            return replay_answer(self._recordings, facts, request, sandbox, sandbox.clock.now())

    def add(  # noqa: PLR0917  called once
        self,
        request: Request,
        checked: RequestCheck,
        body: BodyCapture | None,
        answer: UpstreamResponse,
        capture: Capture,
        seconds: float,
    ) -> None:
        """Record an exchange. All work happens in a thread. Called on the event loop."""
        passed = Passed(
            _with_body(request, body),
            checked,
            answer.status,
            answer.headers,
            answer.header(b"content-type"),
            answer.header(b"content-encoding"),
            capture.content if capture.is_whole else None,
            capture.size,
            monotonic() - self._started,
            seconds,
        )
        self._group.append(passed)
        self._group_bytes += len(passed.request.body) + len(passed.content or b"")
        if self._group_bytes > GROUP_BYTES:
            self._write_group()
        elif self._group_timer is None:
            self._group_timer = asyncio.get_running_loop().call_later(GROUP_SECONDS, self._write_group)

    def close(self) -> None:
        """Write the fixture file."""
        self._write_group()
        self._thread.shutdown(wait=True)
        with self._lines as lines:
            lines.seek(0)
            episodes = read_episodes(lines.read())
        count = write_recording(self._folder, self._address, self._known, episodes)
        (self._folder / UNFINISHED).unlink(missing_ok=True)
        _log.warning("%s recorded in %s", format_count(count, "request"), self._folder / RECORDING)

    def _write_group(self) -> None:
        """Have the thread write what waits; waits for it if too much does."""
        if self._group_timer is not None:
            self._group_timer.cancel()
            self._group_timer = None
        if not self._group:
            return
        group, size, self._group, self._group_bytes = self._group, self._group_bytes, [], 0
        self._waiting.append(size)
        work = self._thread.submit(self._write, group)
        if sum(self._waiting) > WAITING_BYTES:
            work.result()

    def _write(self, group: Sequence[Passed]) -> None:
        """Redact exchanges and append them; runs in the recorder's thread."""
        lines = []
        for passed in group:
            try:
                lines.append(orjson.dumps(self._episode(passed)._asdict(), option=orjson.OPT_APPEND_NEWLINE))
            except Exception:  # one exchange must not end the recording
                _log.exception("an exchange could not be recorded")
        try:
            self._lines.write(b"".join(lines))
            self._lines.flush()
        except OSError:  # such as a full disk; the next group is written with them
            _log.exception("exchanges could not be written to %s", self._folder / UNFINISHED)
        finally:
            self._waiting.popleft()

    def _episode(self, passed: Passed) -> Episode:
        redactor, aliases, facts = self._redactor, self._aliases, _facts(passed.request, passed.checked)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in passed.headers]
        redactor.learn(secrets_in((*passed.request.headers.items(), *headers), passed.request.query))
        told: set[str] = set()
        asked: set[str] = set()
        aliases.keep([facts.path, facts.query, facts.body])
        answer = self._answer(passed, headers, told)  # before the request, which may have ids that it tells
        request = facts._replace(
            operation=aliases.text(facts.operation),
            path={name: self._argument(name, each, asked) for name, each in facts.path.items()},
            query={aliases.text(name): self._argument(name, each, asked) for name, each in facts.query.items()},
            body=redactor.value(facts.body, aliases=aliases, found=asked),
        )
        return Episode(
            request=request.written(),
            is_safe=passed.request.method in {"GET", "HEAD", "OPTIONS"},
            answer=answer,
            at=round(passed.at, 3),
            asked=sorted(asked),
            told=sorted(told),
        )

    def _argument(self, name: str, value: Any, found: set[str]) -> Any:
        """An argument in a path or a query as it is recorded."""
        if isinstance(value, list):
            return [self._argument(name, each, found) for each in value]
        return self._aliases.text(self._redactor.argument(name, value), found)

    def _answer(self, passed: Passed, given: Sequence[tuple[str, str]], told: set[str]) -> dict[str, Any]:
        """The answer as it is written, with these headers. The known ids in a JSON body are added to `told`."""
        answer: dict[str, Any] = {"status": passed.status, "seconds": round(passed.seconds, 3)}
        media_type = bare_media_type(passed.media_type)
        content = passed.content
        if content is not None and passed.coding:
            content = decoded_body(content, passed.coding, BODY_BYTES)
        content = content and self.restored(content)
        if content is None:
            answer["note"] = f"The body of {passed.size} bytes was not recorded."
        elif content and is_json(media_type):
            try:
                value = orjson.loads(content)
            except orjson.JSONDecodeError:
                answer |= self._other_body(passed, content)
            else:
                self._aliases.learn(value)
                if self.urls.are_in(content):
                    value = self.urls.in_value(value, BASE_URL)
                value = self._redactor.value(value, aliases=self._aliases, found=told)
                answer |= {"body": value} if len(content) <= SMALL_BYTES else self._json_body(value, media_type)
        elif content:
            answer |= self._other_body(passed, content)
        if passed.media_type and passed.media_type.replace(" ", "").lower() not in {
            "application/json", "application/json;charset=utf-8"
        }:  # fmt: skip
            answer["media_type"] = passed.media_type
        headers = self._redactor.headers(given)
        if headers:
            headers = self.urls.in_value({name.lower(): text for name, text in headers.items()}, BASE_URL)
            self._aliases.learn({name.replace("-", "_"): text for name, text in headers.items()})
            answer["headers"] = {self._aliases.text(name): self._aliases.text(text) for name, text in headers.items()}
        return answer

    def _json_body(self, value: Any, media_type: str) -> dict[str, Any]:
        encoded = orjson.dumps(value)
        return {"body": value} if len(encoded) <= INLINE_BYTES else self._in_file(encoded, media_type)

    def _other_body(self, passed: Passed, content: bytes) -> dict[str, Any]:
        for line in content[: 4 * INLINE_BYTES].splitlines() if content[:1] == b"{" else ():
            try:
                self._aliases.learn(orjson.loads(line))
            except orjson.JSONDecodeError:
                break
        content = self._redactor.content(self.urls.in_bytes(content, BASE_URL))
        try:
            text = self._aliases.text(content.decode())
        except UnicodeDecodeError:
            return self._in_file(content, passed.media_type)
        if len(text) > INLINE_BYTES or "\0" in text:
            return self._in_file(text.encode(), passed.media_type)
        return {"text": text}

    def _in_file(self, content: bytes, media_type: str) -> dict[str, Any]:
        folder = self._folder / BODIES
        folder.mkdir(exist_ok=True)
        ending = _ENDINGS.get(bare_media_type(media_type), "bin")
        while True:
            self._bodies += 1
            path = folder / f"{self._bodies:04}.{ending}"
            if not path.exists():
                break
        path.write_bytes(content)
        return {"file": f"{BODIES}/{path.name}"}


def open_recorder(folder: Path, mode: str, upstream: UpstreamUrl, redacts: Sequence[str]) -> Recorder | None:
    """The recorder of a folder; None if its recording is only to be replayed (`none`, or `once` if there is one).

    Raises SettingsError if the folder cannot be written, and FixtureError for an invalid recording.
    """
    finish_recording(folder, str(upstream))
    has_one = (folder / RECORDING).exists()
    if mode == "none" or (mode == "once" and has_one):
        if not has_one:
            raise SettingsError(f"--record-mode is 'none', and {folder / RECORDING} does not exist")
        return None
    known: Sequence[Mapping[str, Any]] = ()
    if mode == "new_episodes" and has_one:
        known = read_fixture_file(FixtureFile(folder / RECORDING, RECORDING, ""), fixture_schema()).get(SECTION, ())
    elif has_one:
        remove_recording(folder)
    return Recorder(folder, upstream, redacts=redacts, known=known)


def _with_body(request: Request, body: BodyCapture | None) -> Request:
    if body is None:
        return request
    if body.is_form:
        return request._replace(form=body.form, form_parts=body.form_parts)
    return request._replace(body=body.bytes.content) if body.bytes.is_whole else request


def _facts(request: Request, checked: RequestCheck) -> RequestFacts:
    if checked.service is None:
        has_credential = bool(read_token(request))
        return request_facts(f"{request.method} {request.path}", {}, request, has_credential=has_credential)
    operation = checked.service.operation
    has_credential = operation.is_open or bool(read_credential(operation.security, request))
    return request_facts(operation.key, dict(checked.path), request, has_credential=has_credential)


def _ids_in(entries: Sequence[Mapping[str, Any]]) -> int:
    """At least as many as the entries have ids, so that new aliases differ from theirs."""
    return 1000 * len(entries)
