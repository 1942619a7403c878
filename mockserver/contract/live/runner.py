"""Sends planned requests to a live API within a budget, and checks the answers against the document."""

import asyncio
import base64
import re
import shlex
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlencode

import orjson

from mockserver.contract.capture import CHECKED_BYTES, Capture, decoded_body
from mockserver.contract.exchange import DocumentChecker
from mockserver.contract.live.plan import PROBE, READING, RECORDED, PlannedRequest, Price, credential_headers
from mockserver.contract.upstream import Headers, UpstreamError, UpstreamUrl, request_headers
from mockserver.engine.engine import Engine
from mockserver.errors import Violation
from mockserver.http import Request, Response
from mockserver.openapi.operations import Operation
from mockserver.redaction import redacted_text
from mockserver.sandbox.journal import retry_after_seconds

MAX_WAIT = 60.0
"""The longest Retry-After that is waited for, in seconds; a longer one ends the run."""
_IN_QUOTES, _ESCAPES = re.compile(r'[\\"`$]'), re.compile(r"\\.", re.DOTALL)
"""Characters that a shell reads in double quotes, and how they are written there."""
MAX_FAILURES = 3
"""Requests without any answer, one after another, after which a run ends."""


class Answer(Protocol):
    """An answer whose body is still arriving."""

    status: int
    headers: Headers

    def header(self, name: bytes) -> str: ...

    def chunks(self) -> AsyncIterator[bytes]: ...

    def close(self) -> None: ...


class Target(Protocol):
    """What answers: a live API, or the sandbox."""

    url: UpstreamUrl

    def target(self, raw_path: bytes, query: bytes) -> bytes: ...

    async def send(self, method: str, target: bytes, headers: Headers, body: Any) -> Answer: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class LiveBudget:
    """What a run may do."""

    max_requests: int = 50
    rate: float = 2.0
    """Requests per second."""
    methods: frozenset[str] = READING
    spend: float = 0.0
    """The most that may be spent, in each unit of the document's prices."""


class LiveExchange(NamedTuple):
    """A request that was sent, and its answer."""

    planned: PlannedRequest
    request: Request
    response: Response
    """Its body is an iterator if it was too large to be validated."""
    violations: tuple[Violation, ...]
    seconds: float
    curl: str
    """The request as a command; the token is a variable."""
    number: int = 0
    """Its place in the plan, from 0."""


class Skipped(NamedTuple):
    """A planned request that was not sent."""

    planned: PlannedRequest
    why: str


class Observation(NamedTuple):
    """What came of a question."""

    key: str
    question: str
    says: str = ""
    """The answer; empty if it was not observed."""
    why: str = ""
    """Why it was not observed, or how to find out by hand."""
    setting: str = ""
    """The flags by which the sandbox answers so, if it does not by default."""
    curl: str = ""
    """The last request, as a command."""


@dataclass
class LiveRun:
    """What came of a run."""

    exchanges: list[LiveExchange] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Requests that got no answer, and why."""
    observations: list[Observation] = field(default_factory=list)
    """Answers to the questions that no public document answers."""
    spent: dict[str, float] = field(default_factory=dict)
    """What successful requests have cost by the document's prices, by unit."""

    def met(self) -> dict[tuple[str, int], int]:
        """The counts of answers by operation and status."""
        found: dict[tuple[str, int], int] = {}
        for each in self.exchanges:
            key = (each.planned.operation.key, each.response.status)
            found[key] = found.get(key, 0) + 1
        return found


class LiveRunner:
    """Runs planned requests against one API."""

    def __init__(
        self, engine: Engine, upstream: Target, budget: LiveBudget, *, token: str = "", other_token: str = "",
        variable: str = "API_TOKEN",
    ) -> None:  # fmt: skip
        """`token` is the credential for the API, `other_token` that of a second account. In curl commands, the first is
        called `variable`.
        """
        self._checker = DocumentChecker(engine.services)
        self._upstream = upstream
        self._budget = budget
        self._token = token
        self._other_token = other_token
        self._variable = variable
        self._ids: dict[str, tuple[str | int, ...]] = {}
        """Ids that lists have told, by the path of the list: those of the first thing in it."""
        self._created: dict[str, tuple[str | int, ...]] = {}
        """Ids of things that this run has created, in the same way."""
        self._due = 0.0
        """When the next request may be sent, in the event loop's time."""
        self._must_wait = False
        """Whether the API has asked for a pause that is too long."""
        self._unanswered = 0
        """The latest requests that got no answer."""
        self.result = LiveRun()

    async def run(
        self, planned: Iterable[PlannedRequest], told: Callable[[LiveExchange], None] = lambda _: None
    ) -> LiveRun:
        """Send what the budget allows; `told` is called for each exchange."""
        seen: set[tuple[str, str, bytes, bool]] = set()
        for number, each in enumerate(planned):
            request = self._with_known_ids(each)
            why = self.why_not(request)
            if why:
                self.result.skipped.append(Skipped(request, why))
                continue
            key = (request.operation.method, request.target, request.content, request.has_credential)
            if key in seen:
                continue
            seen.add(key)
            exchange = await self.send(request, number)
            if self.has_ended:
                break
            if exchange is not None:
                told(exchange)
        return self.result

    async def send(self, request: PlannedRequest, number: int = -1, *, pause: int = 0) -> LiveExchange | None:
        """Send one request when it is due; None if there was no answer. `number` is its place in the plan, `pause` how
        many requests could be sent before it.
        """
        loop = asyncio.get_running_loop()
        self._due += pause / self._budget.rate
        await asyncio.sleep(max(self._due - loop.time(), 0.0))
        self._due = max(self._due, loop.time()) + 1.0 / self._budget.rate
        try:
            exchange = (await self._exchange(request))._replace(number=number)
        except UpstreamError as error:
            self._charge(request)  # it may have been carried out
            self.result.failures.append(f"{request.operation.method} {request.target}: {error}")
            self._unanswered += 1
            return None
        self._unanswered = 0
        self.result.exchanges.append(exchange)
        wait = retry_after_seconds(exchange.response, 0.0) if exchange.response.status in {429, 503} else 0.0
        if wait > MAX_WAIT:
            self.result.failures.append(f"the API asks to wait for {wait:g} seconds, so the run ended")
            self._must_wait = True
        self._due = max(self._due, loop.time() + wait)
        return exchange

    @property
    def has_ended(self) -> bool:
        """Whether no more may be sent: the API does not answer any more, or asks for a long pause."""
        return self._must_wait or self._unanswered >= MAX_FAILURES

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()

    def why_not(self, request: PlannedRequest) -> str:
        """Why a request is not sent; empty if it is."""
        if request.operation.method not in READING and request.path and not self._is_own(request):
            return self.why_not_all([request]) or "it would change something that this run has not created"
        return self.why_not_all([request])

    def why_not_all(self, requests: Sequence[PlannedRequest]) -> str:
        """Why requests that belong together are not sent; empty if they are."""
        sent = len(self.result.exchanges) + len(self.result.failures)
        if sent + len(requests) > self._budget.max_requests:
            return "the budget of --max-requests is used up"
        prices: dict[str, float] = {}
        for each in requests:
            if each.operation.method not in self._budget.methods:
                return f"{each.operation.method} is not among --methods"
            if each.operation.sandbox_parameter:
                return "the operation is only the sandbox's"
            if each.of_other_account and not self._other_token:
                return f"it needs the credential of a second account in {self._variable}_2"
            if each.has_credential:  # else it is rejected before it can cost anything
                prices[each.price.unit] = prices.get(each.price.unit, 0.0) + each.price.amount
        for unit, amount in prices.items():
            if amount and self.result.spent.get(unit, 0.0) + amount > self._budget.spend:
                return f"it costs {amount:g} {unit}, which --spend does not allow"
        return ""

    def _spent(self, price: Price) -> float:
        return self.result.spent.get(price.unit, 0.0)

    def _charge(self, planned: PlannedRequest) -> None:
        price = planned.price
        if planned.has_credential and price.amount:
            self.result.spent[price.unit] = self._spent(price) + price.amount

    def _is_own(self, request: PlannedRequest) -> bool:
        created = {str(id_) for ids in self._created.values() for id_ in ids}
        return all(value in created for value in request.path.values())

    def _with_known_ids(self, request: PlannedRequest) -> PlannedRequest:
        """The request with ids of things that exist: for reads, those of lists; else those that this run created."""
        if request.origin in {PROBE, RECORDED} or not request.path:
            return request
        collection = request.operation.path.partition("/{")[0]
        listed = self._ids.get(collection, ()) if request.operation.method in READING else ()
        known = self._created.get(collection) or listed
        takes_number = any("integer" in each.types for each in request.operation.parameters if each.location == "path")
        fitting = [each for each in known if isinstance(each, str) or takes_number]
        if not fitting or len(request.path) != 1:
            return request
        return replace(request, path=dict.fromkeys(request.path, str(fitting[0])))

    async def _exchange(self, planned: PlannedRequest) -> LiveExchange:
        operation = planned.operation
        headers, query = self._credential(planned)
        target = planned.target
        if query:
            target += ("&" if "?" in target else "?") + urlencode(query)
        content = planned.content
        headers = {**planned.headers, **headers}
        headers.setdefault("Accept", "*/*")
        headers.setdefault("User-Agent", "mockserver-verify")
        if planned.media_type:
            headers["Content-Type"] = planned.media_type
        raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
        raw = request_headers(raw, self._upstream.url, via=b"1.1 mockserver", has_body=bool(content))
        loop = asyncio.get_running_loop()
        began = loop.time()
        path, _, text = target.partition("?")
        answer = await self._upstream.send(
            operation.method, self._upstream.target(path.encode(), text.encode()), raw, content or None
        )
        capture = Capture()
        try:
            async for chunk in answer.chunks():
                capture.add(chunk)
                if capture.size > CHECKED_BYTES:
                    break
            else:
                capture.has_ended = True
        finally:
            answer.close()
        seconds = loop.time() - began
        response = _response(answer.status, answer.header(b"content-type"), answer.headers, capture)
        if answer.status < 400:
            self._charge(planned)
        lowered = {name.lower(): value for name, value in headers.items()}
        request = Request(operation.method, path, text, lowered, content)
        violations = self._violations(request, response)
        self._learn(operation, response)
        return LiveExchange(planned, request, response, violations, seconds, self._curl(planned, target, headers))

    def _violations(self, request: Request, response: Response) -> tuple[Violation, ...]:
        route = self._checker.route(request)
        checked = self._checker.check_request(request, route, None)
        return self._checker.check_response(checked.service, request.method, response)

    def _credential(self, planned: PlannedRequest) -> tuple[dict[str, str], dict[str, str]]:
        schemes = next((each for each in planned.operation.security if each), ())
        headers: dict[str, str] = {}
        query: dict[str, str] = {}
        token = self._other_token if planned.of_other_account else self._token
        if planned.has_credential and token:
            for scheme in schemes:
                more, arguments = credential_headers(scheme, token)
                headers |= more
                query |= arguments
        return headers, query

    def _learn(self, operation: Operation, response: Response) -> None:
        """Take the id of the first thing in a list, or of a created one."""
        if not isinstance(response.body, bytes) or response.status >= 400:
            return
        try:
            value = orjson.loads(response.body)
        except orjson.JSONDecodeError:
            return
        if operation.method == "POST" and isinstance(value, dict):
            made = _ids_of(value, ("id", "slug"))
            if made:
                self._created[operation.path] = made
        if operation.method == "GET" and "{" not in operation.path:
            made = _ids_of(next(iter(_rows(value)), {}), ("id",))
            if made:
                self._ids[operation.path] = made

    def _curl(self, planned: PlannedRequest, target: str, headers: Mapping[str, str]) -> str:
        parts = ["curl", "-i"]
        if planned.operation.method != "GET":
            parts += ["-X", planned.operation.method]
        words = [self._word(f"{self._upstream.url}{target}")]
        for name, value in headers.items():
            if name not in {"Accept", "User-Agent"}:
                words.append(f"-H {self._quoted(f'{name}: {value}')}")
        if planned.content:
            words += ["--data-binary", shlex.quote(self._hidden(planned.content.decode("utf-8", "replace"), "$"))]
        return " ".join([*parts, *words])

    def _word(self, text: str) -> str:
        """A text as a word of a shell, in which variables stand for credentials."""
        quoted = self._quoted(text)
        return quoted if "$" in _ESCAPES.sub("", quoted) else shlex.quote(text)

    def _quoted(self, text: str) -> str:
        """A text in double quotes, in which variables stand for credentials."""
        if self._token:
            encoded = base64.b64encode(self._token.encode()).decode()  # of basic authentication
            text = text.replace(encoded, f"\0(printf %s \1\0{self._variable}\1 | base64)")
        text = _IN_QUOTES.sub(r"\\\g<0>", self._hidden(text, "\0"))
        return '"{}"'.format(text.replace("\0", "$").replace("\1", '"'))

    def _hidden(self, text: str, mark: str) -> str:
        """A text with names of variables after this mark in place of credentials."""
        for token, name in ((self._other_token, f"{self._variable}_2"), (self._token, self._variable)):
            for form in (token, quote(token, safe="")) if token else ():
                text = text.replace(form, f"{mark}{name}")
        return text


def _response(status: int, media_type: str, headers: Sequence[tuple[bytes, bytes]], capture: Capture) -> Response:
    texts = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
    named = {name.lower(): value for name, value in texts}
    content = decoded_body(capture.content, named.get("content-encoding", "")) if capture.is_whole else None
    body: Any = iter(()) if content is None else content
    kept = tuple(each for each in texts if each[0].lower() not in {"content-type", "content-length"})
    return Response(status, media_type, body, kept, "upstream")


def _ids_of(value: Mapping[str, Any], names: Sequence[str]) -> tuple[str | int, ...]:
    """The ids of a thing that a path may have."""
    found = (value.get(name) for name in names)
    return tuple(each for each in found if isinstance(each, str | int) and not isinstance(each, bool))


def _rows(value: Any) -> list[dict[str, Any]]:
    """The things in a list, which may be the whole answer, its `data`, or its only list of objects."""
    if isinstance(value, dict):
        lists = [each for each in value.values() if isinstance(each, list) and each and isinstance(each[0], dict)]
        value = value["data"] if isinstance(value.get("data"), list) else lists[0] if len(lists) == 1 else None
    return value if isinstance(value, list) and value and isinstance(value[0], dict) else []


def shown_body(exchange: LiveExchange, most: int = 500) -> str:
    """The beginning of an answer's body, without credentials."""
    body = exchange.response.body
    return redacted_text(body[:most].decode("utf-8", "replace")) if isinstance(body, bytes) else "…"
