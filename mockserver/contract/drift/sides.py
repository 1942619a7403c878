"""The sandbox's side of a comparison: it answers the plan of a live run, or the requests of a recording."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlencode

import orjson

from mockserver.contract.drift.differences import Pair
from mockserver.contract.exchange import DocumentChecker
from mockserver.contract.live.plan import PlannedRequest, credential_headers
from mockserver.contract.live.runner import LiveExchange
from mockserver.contract.upstream import Headers, UpstreamUrl
from mockserver.engine.engine import Engine
from mockserver.fixtures.ids import is_id_name
from mockserver.fixtures.recordings import RecordedEntry, body_path
from mockserver.http import Request, Response, Upload
from mockserver.openapi.generate.values import generate_value
from mockserver.openapi.operations import JSON, Operation, bare_media_type
from mockserver.openapi.responses import encode_body
from mockserver.openapi.security import BEARER
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.blobs import Blob
from mockserver.web.forms import FormReader

TOKEN = "drift"  # noqa: S105  of the sandbox
FORM_LINE = "x-mock-line"
"""The extension with the schema of each line of an uploaded file."""


class EngineAnswer:
    """An answer of the sandbox, in the form of an upstream's."""

    def __init__(self, response: Response) -> None:
        body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        self.status = response.status
        named = [("content-type", response.media_type)] if response.media_type else []
        named.append(("x-mock-source", response.source))
        self.headers: Headers = [(name.encode(), value.encode()) for name, value in (*named, *response.headers)]
        self._body = body

    def header(self, name: bytes) -> str:
        return next((value for key, value in self.headers if key.lower() == name), b"").decode("latin-1")

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    def close(self) -> None:
        pass


class EngineTarget:
    """The sandbox, in the form of an upstream."""

    url = UpstreamUrl("http", "127.0.0.1", 4024, "")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def target(self, raw_path: bytes, query: bytes) -> bytes:
        return raw_path + b"?" + query if query else raw_path

    async def send(self, method: str, target: bytes, headers: Headers, body: Any) -> EngineAnswer:
        path, _, query = target.decode().partition("?")
        named = {name.decode().lower(): value.decode("latin-1") for name, value in headers}
        request = Request(method, unquote(path), query, named, body or b"")
        media_type = named.get("content-type", "")
        if bare_media_type(media_type) == "multipart/form-data":
            reader = FormReader(media_type)
            reader.feed(request.body)
            parts = tuple(reader.parts)
            request = request._replace(body=b"", form=reader.finish(), form_parts=parts)
        return EngineAnswer(self._engine.handle(request))

    async def close(self) -> None:
        pass


def pairs_of_runs(live: Sequence[LiveExchange], sandbox: Sequence[LiveExchange]) -> list[Pair]:
    """The answers of both sides to the same requests of a plan."""
    ours = {each.number: each for each in sandbox}
    return [
        Pair(
            each.planned.operation,
            f"{each.request.method} {each.request.path} ({each.planned.situation})",
            each.response,
            ours[each.number].response,
            each.violations,
            each.planned.faults,
        )
        for each in live
        if each.number in ours and each.number >= 0
    ]


class RecordedSide:
    """Sends the requests of a recording to the sandbox, with the sandbox's ids in place of the recorded ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._services = {each.operation.key: each for each in engine.services}
        self._checker = DocumentChecker(engine.services)
        self._ids: dict[str, str] = {}

    def pairs(self, entries: Sequence[RecordedEntry]) -> Iterator[Pair]:
        """The recorded answers and the sandbox's, in the order of the recording."""
        longest = max((len(each.steps) for each in entries if each.is_timeline), default=1)
        self._engine.sandboxes.open(TOKEN).change(progression=Progression("polls", max(longest, 1)))
        for entry in entries:
            service = self._services.get(entry.request["operation"])
            if service is None:
                continue
            for step in entry.steps:
                live = _recorded_response(entry, step)
                request = self._request(service.operation, entry.request)
                sandbox = _whole(self._engine.handle(request))
                self._learn(live, sandbox)
                violations = self._checker.check_response(service, request.method, live)
                text = f"{request.method} {request.path} (recorded)"
                yield Pair(service.operation, text, live, sandbox, violations)

    def _request(self, operation: Operation, recorded: Mapping[str, Any]) -> Request:
        planned = PlannedRequest(
            operation, "recorded", self._mapped(recorded.get("path", {})), self._mapped(recorded.get("query", {}))
        )
        path, _, query = planned.target.partition("?")
        headers = {"x-mock-sandbox": TOKEN}
        if recorded.get("credential", True):
            query, headers = _with_credential(operation, query, headers)
        request = Request(operation.method, unquote(path), query, headers)
        body = self._mapped(recorded.get("body"))
        media_types = [*(operation.body or {})]
        if body is None or not media_types:
            return request
        if "multipart/form-data" in media_types and isinstance(body, dict):
            form = {name: _field(operation, name, value) for name, value in body.items()}
            return request._replace(form=form, form_parts=tuple(form.items()), headers=headers | {
                "content-type": "multipart/form-data; boundary=drift"})  # fmt: skip
        media_type = JSON if JSON in media_types else media_types[0]
        return request._replace(body=encode_body(body, media_type), headers=headers | {"content-type": media_type})

    def _mapped(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._ids.get(value, value)
        if isinstance(value, list):
            return [self._mapped(each) for each in value]
        if isinstance(value, dict):
            return {name: self._mapped(each) for name, each in value.items()}
        return value

    def _learn(self, live: Response, sandbox: Response) -> None:
        """The sandbox's ids in the places of the recorded ones."""
        if isinstance(live.body, bytes) and isinstance(sandbox.body, bytes):
            try:
                self._align(orjson.loads(live.body), orjson.loads(sandbox.body))
            except orjson.JSONDecodeError:
                return

    def _align(self, live: Any, ours: Any, name: str = "") -> None:
        if isinstance(live, dict) and isinstance(ours, dict):
            for key in live.keys() & ours.keys():
                self._align(live[key], ours[key], key)
        elif isinstance(live, list) and isinstance(ours, list):
            for one, other in zip(live, ours, strict=False):
                self._align(one, other, name)
        elif isinstance(live, str) and isinstance(ours, str) and is_id_name(name):
            self._ids.setdefault(live, ours)


def _with_credential(operation: Operation, query: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Query and headers with a credential of the kind that the operation asks for."""
    for scheme in next((each for each in operation.security if each), (BEARER,)):
        more, arguments = credential_headers(scheme, TOKEN)
        headers = headers | {name.lower(): value for name, value in more.items()}
        query = "&".join(filter(None, (query, urlencode(arguments))))
    return query, headers


def _recorded_response(entry: RecordedEntry, step: Mapping[str, Any]) -> Response:
    if "file" in step:
        body = body_path(entry, step["file"]).read_bytes()
    elif "body" in step:
        body = orjson.dumps(step["body"])
    else:
        body = str(step.get("text", "")).encode()
    media_type = step.get("media_type", JSON if body else "")
    return Response(step.get("status", 200), media_type, body, tuple(step.get("headers", {}).items()), "recorded")


def _whole(response: Response) -> Response:
    """The response with its stream read."""
    return response if isinstance(response.body, bytes) else response._replace(body=b"".join(response.body))


def _field(operation: Operation, name: str, value: Any) -> str | Upload:
    """A field of a form; a recorded file gets a content that fits the document."""
    if not (isinstance(value, dict) and "sha256" in value):
        return str(value)
    content = (operation.body or {})["multipart/form-data"]
    line: Any = None
    if content.schema is not None:
        properties = content.schema.resolved(content.schema.definition).get("properties", {})
        stated = content.schema.resolved(properties.get(name, {})).get(FORM_LINE)
        if stated is not None:
            root = content.schema.document
            line = generate_value(content.schema.resolved(stated), root=root, key=b"drift", documents_values=True)
    text = orjson.dumps(line) + b"\n" if line is not None else b"drift\n"
    return Upload(str(value.get("filename", "file")), "", Blob.in_memory(text))
