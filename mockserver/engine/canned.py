"""Responses of operations that no code handles: fixtures, examples of the document, generated values."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from mockserver.api.call import Call
from mockserver.errors import Violation
from mockserver.fixtures.files import CannedResponse
from mockserver.http import Response
from mockserver.lazy import lazy_module
from mockserver.openapi.responses import VIOLATIONS_HEADER, canned_reply, documented_reply, problem, violations_text
from mockserver.sandbox.ids import canonical, digest

if TYPE_CHECKING:
    from mockserver.fixtures import templates
else:
    templates = lazy_module("mockserver.fixtures.templates")

SEQUENCES = "sequences"
"""The collection with the number of requests that each sequence has answered, by its source."""
RENDERED = ("body", "text", "headers")
SECRETS = frozenset({"authorization", "cookie"})
"""Headers that templates do not show."""


def response_without_handler(call: Call) -> Response:
    """The response of an operation that no code handles; of a document that is not bundled, with its warnings."""
    response = canned_response(call)
    return with_warnings(response, call) if call.operation.is_foreign else response


def canned_response(call: Call) -> Response:
    """A response without code: a fixture, else the document's example, else a value generated from its schema."""
    canned = find_canned(call)
    if canned is not None:
        return _fixture_reply(canned, call)
    key = digest(call.sandbox.ids.salt, call.operation.key.encode(), _request_key(call))
    if call.operation.method == "POST":
        key = call.sandbox.ids.next(call.operation.key, _request_key(call))
    accept = call.request.headers.get("accept", "") if call.operation.is_foreign else None
    settings = call.world.settings
    reply = documented_reply(
        call.operation,
        call.operation.success,
        key=key,
        accept=accept,
        is_dynamic=settings.dynamic,
        mends=not settings.strict,
    )
    return reply or Response(204, source="generated")


def find_canned(call: Call) -> CannedResponse | None:
    """The first canned response of fixtures that matches the request."""
    return call.world.fixtures.response(call.operation.key, call.arguments, call.body, call.request.headers)


def _fixture_reply(canned: CannedResponse, call: Call) -> Response:
    """The canned response: the next step of a sequence, with values of the request in a template."""
    entry = canned.entry
    if "sequence" in entry:
        counts = call.sandbox.collection(SEQUENCES, int)
        count = counts.get(canned.source) or 0
        counts.put(canned.source, count + 1)
        entry = canned.step(count)
    if entry.get("template"):
        try:
            shown = {name: templates.rendered(entry[name], _variables(call)) for name in RENDERED if name in entry}
        except templates.TemplateProblem as error:
            return problem(500, "Unusable Template", f"{canned.source}: {error}")
        entry = {**entry, **shown}
    return canned_reply(call.operation, entry, canned.source)


def _variables(call: Call) -> dict[str, Any]:
    """What templates may use of a request."""
    places = {(each.location, each.name) for each in call.operation.parameters}
    path, query = (
        {name: value for name, value in call.arguments.items() if (place, name) in places}
        for place in ("path", "query")
    )
    given = {name: values[-1] for name, values in parse_qs(call.request.query, keep_blank_values=True).items()}
    body = call.body if not isinstance(call.body, bytes) else call.body.decode("utf-8", "replace")
    request = {"method": call.request.method, "path": path, "query": {**given, **query}, "body": body}
    headers = {name: value for name, value in call.request.headers.items() if name not in SECRETS}
    return {
        "request": {**request, "headers": headers},
        "now": datetime.fromtimestamp(call.now, UTC).isoformat(timespec="seconds"),
    }


def with_warnings(response: Response, call: Call) -> Response:
    """The response with a warning for a deprecated operation, and for each deprecated argument that was sent."""
    operation = call.operation
    found = [
        Violation(("request", each.location, each.name), "deprecated", f"{each.name!r} is deprecated")
        for each in operation.parameters
        if each.is_deprecated and each.name in call.arguments
    ]
    if operation.is_deprecated:
        found.append(Violation(("request",), "deprecated", f"{operation.key} is deprecated"))
    if not call.world.settings.debug_headers:
        others = tuple(each for each in response.headers if each[0] != VIOLATIONS_HEADER)
        return response if len(others) == len(response.headers) else response._replace(headers=others)
    if not found or any(name == VIOLATIONS_HEADER for name, _ in response.headers):
        return response
    return response.with_headers((VIOLATIONS_HEADER, violations_text(found)))


def _request_key(call: Call) -> bytes:
    body = call.body.hex() if isinstance(call.body, bytes) else call.body
    return canonical([call.arguments, body])
