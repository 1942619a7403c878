"""Turns exchanges of a journal into interactions of a Pact file.

An interaction stands for all exchanges of one operation with the same status, provider states, and form of request and
answer; the first of them is the example. Requests are written as they were sent, except that credentials, and ids that
the sandbox made up, can be replaced by the values that the API's own state handlers return.
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote

import orjson

from mockserver.api.provider import BoundOperation
from mockserver.errors import Reason
from mockserver.http import PROXY_SOURCE, Response
from mockserver.openapi.operations import Operation, bare_media_type, is_json
from mockserver.openapi.router import Router
from mockserver.redaction import REDACTED
from mockserver.sandbox.journal import ON_DEMAND, Exchange, without_secrets
from mockserver.verify.pact import states
from mockserver.verify.pact.matching import MAX_DEPTH, body_rules, documented_values, is_deep, rule, shape_of
from mockserver.verify.pact.requests import Argument, RequestBody, find_arguments, with_values
from mockserver.verify.pact.states import KnownIds, ProviderState

MAX_BODY = 256 * 1024
"""The most bytes of a request's body."""
INVALID, ON_REQUEST, UNKNOWN, FAILED, LARGE = (
    "not allowed by the document", "answered on demand (stub, fault, Prefer, magic token or marker)",
    "no documented operation", "server error", "body too large, or nested too deeply",
)  # fmt: skip
"""Why an exchange is no interaction."""
_FAILED = frozenset({Reason.TIMED_OUT, Reason.UNAVAILABLE, Reason.FAILED})
_EMAIL = re.compile(rb"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_SAMPLE_EMAIL = b"redacted@example.com"
_STATUS_NAMES = ("status", "state")
_MEANINGFUL = frozenset({"location", "retry-after"})
"""Headers that clients act upon."""


class Interaction(NamedTuple):
    """One interaction, and the API that it belongs to."""

    provider: str
    value: Mapping[str, Any]
    """As the file has it."""


class InteractionReader:
    """Reads the interactions of one sandbox, exchange by exchange in their order."""

    def __init__(self, services: Mapping[str, BoundOperation]) -> None:
        """`services` are the operations by their keys."""
        self._services = services
        self._router = Router(each.operation for each in services.values())
        self._known = KnownIds()

    def read(self, exchange: Exchange) -> Interaction | str:
        """The interaction, or why the exchange is none."""
        service = self._services.get(exchange.operation)
        if service is None:
            return UNKNOWN
        why = _why_not(exchange)
        value = json_body(exchange.response)
        statuses = _statuses(service.operation, exchange.response, value)
        origin = f"{service.operation.method} {service.operation.path}"
        if why:
            self._known.learn(origin, value, statuses)
            return why
        plain = without_secrets(_without_emails(exchange))
        made = self._interaction(service.operation, plain, json_body(plain.response), statuses)
        self._known.learn(origin, value, statuses)
        return Interaction(provider_name(service), made)

    def _interaction(
        self, operation: Operation, exchange: Exchange, value: Any, statuses: Mapping[str, str]
    ) -> dict[str, Any]:
        arguments = find_arguments(self._router, exchange.request)
        body = RequestBody.of(operation, exchange.request)
        references = [each for each in (*arguments, *body.arguments()) if self._known.knows(each.value)]
        shown = statuses if operation.method == "GET" and references else {}
        told = [*self._states(operation, exchange, arguments, references, shown)]
        response, response_shape = _response(operation, exchange.response, value, frozenset(shown))
        request = _request(operation, exchange, body, references, has_token=states.VALID_CREDENTIAL in names_of(told))
        said = f"{operation.method} {operation.path} answers {exchange.response.status}"
        said += "".join(f" with {name} {each}" for name, each in shown.items())
        query = sorted(name for name, _ in parse_qsl(exchange.request.query, keep_blank_values=True))
        form = [said, names_of(told), query, body.shape, response_shape, operation.document]
        key = blake2b(orjson.dumps(form, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
        notes = {"comments": {"text": [body.note]}} if body.note else {}
        return {
            "type": "Synchronous/HTTP",
            "key": key,
            "description": said,
            "pending": False,
            **notes,
            "providerStates": [each.as_json() for each in told],
            "request": request,
            "response": response,
        }

    def _states(
        self,
        operation: Operation,
        exchange: Exchange,
        arguments: list[Argument],
        references: list[Argument],
        shown: Mapping[str, str],
    ) -> Iterator[ProviderState]:
        reason = exchange.reason
        if credentials(operation, exchange):
            is_bad = reason in {Reason.UNAUTHENTICATED, Reason.FORBIDDEN}
            yield ProviderState(states.INVALID_CREDENTIAL if is_bad else states.VALID_CREDENTIAL)
        if reason in states.STATES:
            yield ProviderState(states.STATES[reason])
        for each in references:
            yield self._known.state(each.name, each.value, shown or (None if operation.method != "GET" else {}))
        others = [(each.name, each.value) for each in arguments if each.names_resource and each not in references]
        if reason == Reason.NOT_FOUND:
            yield from states.missing(others)
        elif not reason:
            yield from (states.existing(*each) for each in others)


def provider_name(service: BoundOperation) -> str:
    """The API that an operation belongs to: its provider's tag, or the title of its document."""
    if service.provider is not None:
        return service.provider.tag
    info = service.world.spec.document.get("info")
    return str(info.get("title", "API")) if isinstance(info, Mapping) else "API"


def names_of(found: list[ProviderState]) -> list[str]:
    """The names of states."""
    return [each.name for each in found]


def credentials(operation: Operation, exchange: Exchange) -> list[tuple[str, str]]:
    """Where the request holds a credential: location and name."""
    query = {name for name, _ in parse_qsl(exchange.request.query, keep_blank_values=True)}
    found = []
    for scheme in dict.fromkeys(each for requirement in operation.security for each in requirement):
        place = "cookie" if scheme.location == "cookie" else scheme.name.lower()
        if (scheme.name in query) if scheme.location == "query" else (place in exchange.request.headers):
            found.append((scheme.location, scheme.name))
    return found


def json_body(response: Response) -> Any:
    """The JSON of a response; None if it has none, or one that is nested too deeply."""
    if not isinstance(response.body, bytes) or not is_json(response.media_type):
        return None
    try:
        value = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return None
    return None if is_deep(value) else value


def _why_not(exchange: Exchange) -> str:
    """Why an exchange is no part of the contract; empty if it is."""
    headers = {name.lower() for name, _ in exchange.response.headers}
    if exchange.is_unexpected:
        return INVALID
    is_forced = "preference-applied" in headers or exchange.response.source in {*ON_DEMAND, PROXY_SOURCE}
    if is_forced or b"[mock:" in exchange.request.body:
        return ON_REQUEST
    if exchange.response.status >= 500 or exchange.reason in _FAILED:
        return FAILED
    return LARGE if len(exchange.request.body) > MAX_BODY or _is_deep_body(exchange.request.body) else ""


def _is_deep_body(body: bytes) -> bool:
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    try:
        return is_deep(orjson.loads(body))
    except orjson.JSONDecodeError:  # a form, or another text
        return False


def _without_emails(exchange: Exchange) -> Exchange:
    request, response = exchange.request, exchange.response
    if isinstance(response.body, bytes):
        response = response._replace(body=_EMAIL.sub(_SAMPLE_EMAIL, response.body))
    return exchange._replace(request=request._replace(body=_EMAIL.sub(_SAMPLE_EMAIL, request.body)), response=response)


def _statuses(operation: Operation, response: Response, value: Any) -> dict[str, str]:
    """The member of an answer that tells a status, with its value, if the document names the possible ones."""
    documented = operation.response(response.status)
    if not isinstance(value, dict) or documented is None or response.status >= 300:
        return {}
    schema = next((each.schema for each in documented.content.values() if each.is_json), None)
    return {
        name: value[name]
        for name in _STATUS_NAMES
        if isinstance(value.get(name), str) and value[name] in documented_values(schema, name)
    }


def _request(
    operation: Operation, exchange: Exchange, body: RequestBody, references: list[Argument], *, has_token: bool
) -> dict[str, Any]:
    """The request as the file has it."""
    request = exchange.request
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    headers = {"Content-Type": [body.media_type]} if body.media_type else {}
    path = quote(request.path, safe="/:@!$&'()*+,;=~-._")
    generators = _id_generators(path, references)
    for location, name in credentials(operation, exchange):
        value = _credential_text(name, location, request.headers)
        place = "Cookie" if location == "cookie" else name
        (query if location == "query" else headers)[place] = [value]
        if has_token:
            kind = "query" if location == "query" else "header"
            shown = value.replace(REDACTED, f"${{{states.TOKEN}}}")
            generators.setdefault(kind, {})[place] = _generator(shown)
    for parameter in operation.parameters:
        if parameter.location == "header" and parameter.name.lower() in request.headers:
            headers.setdefault(parameter.name, [request.headers[parameter.name.lower()]])
    parts = {"query": query, "headers": headers, "body": body.written, "generators": generators}
    return {"method": request.method, "path": path, **{name: each for name, each in parts.items() if each}}


def _id_generators(path: str, references: list[Argument]) -> dict[str, Any]:
    """What puts the ids that state handlers return in place of the recorded ones."""
    generators: dict[str, Any] = {}
    in_path = {each.value: f"${{{each.name}}}" for each in references if each.location == "path"}
    if in_path:
        generators["path"] = _generator(with_values(path, in_path))
    for each in references:
        if each.location != "path":
            generators.setdefault(each.location, {})[each.place or each.name] = _generator(f"${{{each.name}}}")
    return generators


def _credential_text(name: str, location: str, headers: Mapping[str, str]) -> str:
    """A credential's place without the credential."""
    if location == "cookie":
        return f"{name}={REDACTED}"
    scheme, _, rest = headers.get(name.lower(), "").partition(" ") if location == "header" else ("", "", "")
    return f"{scheme} {REDACTED}" if rest else REDACTED


def _generator(expression: str) -> dict[str, str]:
    return {"type": "ProviderState", "expression": expression, "dataType": "STRING"}


def _response(
    operation: Operation, response: Response, value: Any, exact: frozenset[str]
) -> tuple[dict[str, Any], Any]:
    """The response as the file has it, and its form."""
    found: dict[str, Any] = {"status": response.status}
    headers: dict[str, list[str]] = {}
    rules: dict[str, Any] = {}
    media_type = bare_media_type(response.media_type)
    if media_type:
        headers["Content-Type"] = [response.media_type]
        pattern = re.sub(r"[.+]", r"\\\g<0>", media_type) + r"(\s*;.*)?"
        rules["Content-Type"] = rule({"match": "regex", "regex": pattern})
    documented = operation.response(response.status)
    stated = documented.headers.items() if documented else ()
    needed = {name.lower() for name, definition in stated if definition.get("required")} | _MEANINGFUL
    for name, text in response.headers:
        if name.lower() in needed and name.lower() != "content-type":
            headers[name] = [text]
            rules[name] = rule({"match": "regex", "regex": ".+"})
    if headers:
        found["headers"] = headers
    shape: Any = None
    matching: dict[str, Any] = {"header": rules} if rules else {}
    if value is not None:
        content = next((each for each in (documented.content if documented else {}).values() if each.is_json), None)
        example, places = body_rules(value, content.schema if content else None, exact)
        found["body"] = {"content": example, "contentType": media_type, "encoded": False}
        matching["body"], shape = places, shape_of(example)
    elif media_type == "text/plain" and isinstance(response.body, bytes) and response.body:
        text = response.body[:1000].decode("utf-8", "replace")
        found["body"] = {"content": text, "contentType": media_type, "encoded": False}
        matching["body"] = {"$": rule({"match": "regex", "regex": r"[\s\S]+"})}
    return found | ({"matchingRules": matching} if matching else {}), shape
