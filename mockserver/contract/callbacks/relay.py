"""Has the API send callbacks to the proxy, which records them in the inbox and passes them on to the client's own URL.

A callback's URL in a request is replaced by an address of the proxy: the public URL, CALLBACKS and an id that cannot be
guessed. The proxy calls no URL but those that clients have sent, and only where `--callback-allow` permits it. It makes
one attempt for each call, and answers the API as the client answers: to try again is up to the API.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import orjson

from mockserver.contract.callbacks.addresses import CALLBACKS, Address, AddressBook
from mockserver.contract.callbacks.places import BODY, CallbackPlace, RequestParts, find_places
from mockserver.contract.callbacks.received import ReceivedCall, callback_violations, target_of
from mockserver.contract.capture import CHECKED_BYTES, Capture, decoded_body
from mockserver.contract.journal import open_sandbox, sandbox_of
from mockserver.contract.upstream import Headers, end_to_end
from mockserver.engine.engine import Engine
from mockserver.errors import SettingsError
from mockserver.http import PROXY_SOURCE, Request, Response
from mockserver.openapi.operations import Operation
from mockserver.openapi.responses import VIOLATIONS_HEADER, WARNINGS, problem, violations_text
from mockserver.sandbox.callbacks import Attempt, Callback, State
from mockserver.sandbox.ids import digest
from mockserver.settings.table import Settings
from mockserver.web.admin.callbacks import MAX_PAYLOAD
from mockserver.web.callbacks.http import Answer, exchange
from mockserver.web.callbacks.policy import DeliveryResult, policy_of
from mockserver.web.callbacks.threads import KeyedExecutor, receiver_of
from mockserver.web.scopes import read_headers

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

OWN_ADDRESS = "auto"
"""In place of a public URL: the address to which the client has sent the request."""
MAX_CALLS = 1000
"""The most calls that an address accepts."""
MAX_EARLY = 16
"""The most calls that are kept for the inbox until the API has answered the request that asks for them."""
MAX_UNDER_WAY, MAX_TO_RECEIVER = 64, 48
"""The most calls that are passed on or wait for it, and the most of them to one receiver."""
READ_SECONDS = 30.0
"""How long a call's body may take to arrive."""
PIECE = 256 * 1024
"""The most bytes of a body that are sent at once."""
MAX_ID = 200
NOT_DESCRIBED = "it is not as the document says"
_NOT_PASSED = frozenset({b"host", b"content-length", b"accept-encoding", b"expect"})
_NOT_ANSWERED = frozenset({"content-length", "content-type", "date", "server"})
_log = logging.getLogger("mockserver")

Sent = tuple[DeliveryResult, Answer | None]
"""The result of passing a call on, and the answer if one came."""


def parse_public_url(text: str) -> str:
    """The public URL of the proxy in a command line, or OWN_ADDRESS; raises SettingsError."""
    wanted = f"wanted http://HOST or https://HOST, perhaps with a port and a path, or {OWN_ADDRESS!r}"
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if text == OWN_ADDRESS:
        return text
    if not is_url or parts.query or parts.fragment or parts.username is not None or not text.isascii():
        raise SettingsError(f"--callbacks-via is {text[:200]!r}; {wanted}")
    return text.rstrip("/")


class CallbackRelay:
    """Replaces the URLs of callbacks in requests, and receives the calls to the addresses in their place."""

    def __init__(self, engine: Engine, settings: Settings, public_url: str, *, fails: bool = False) -> None:
        """`public_url` is what parse_public_url returns. With `fails`, what the document forbids is not passed on."""
        self._engine = engine
        self._settings = settings
        self._public_url = public_url
        self._fails = fails
        self._book = AddressBook(settings.sqs_endpoint)
        self._places: dict[Operation, tuple[CallbackPlace, ...]] = {}
        for service in engine.services:
            places = find_places(service)
            if places:
                self._places[service.operation] = places
        self._rules = policy_of(settings)
        self._threads = KeyedExecutor()
        self._under_way: Counter[str] = Counter()
        """By receiver, the calls that are passed on or wait for it."""
        self.via = b""
        """The proxy's own entry in Via headers."""
        self.deliver: Callable[[Response, str, Receive, Send], Awaitable[None]] | None = None
        """Sends a response of the proxy's own."""

    def redirection(self, request: Request, operation: Operation | None) -> "Redirection | None":
        """What is to be done with a request; None if its operation has no callbacks."""
        places = self._places.get(operation) if operation is not None else None
        return Redirection(self, request, places) if places else None

    def base_url(self, request: Request) -> str:
        """The URL of the proxy as the API reaches it."""
        return request.base_url if self._public_url == OWN_ADDRESS else self._public_url

    # Answers

    def restored(self, content: bytes) -> bytes:
        """Bytes of an answer with clients' own URLs. May be called by any thread."""
        return self._book.restored(content)

    # Requests

    def replaced(
        self, parts: RequestParts, places: tuple[CallbackPlace, ...], request: Request
    ) -> tuple[RequestParts, list[Address]]:
        """The request with addresses in place of clients' URLs. May be called by any thread."""
        return self._book.replaced(parts, places, self.base_url(request))

    def add(self, address: Address, request: Request) -> None:
        """Accept calls to an address from now on."""
        address.sandbox = sandbox_of(self._engine, request)
        dropped = self._book.add(address)
        sandbox = self._engine.sandboxes.named(dropped.sandbox[0]) if dropped is not None else None
        if dropped is not None and sandbox is not None and sandbox.outbox is not None:
            with sandbox.transaction:
                sandbox.outbox.withdraw(dropped.shown_id)

    def note_answer(self, address: Address, id_: str, *, is_success: bool) -> None:
        """The API has answered: list the callback under this id, or its own if it is empty or taken."""
        address.shown_id = address.id
        sandbox = open_sandbox(self._engine, *address.sandbox)
        if sandbox is None:
            return
        with sandbox.transaction:
            outbox = sandbox.open_outbox() if is_success or address.early else sandbox.outbox
            if id_ and not (outbox is not None and outbox.find(id_)):
                address.shown_id = id_
            if is_success and not address.early and outbox is not None:
                outbox.note_request(Callback(address.shown_id, 0, "", address.target, "", math.inf, is_received=True))
        early, address.early = address.early, []
        for callback, content in early:
            self._note(address, callback, content)

    # Calls

    async def receive(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a call to an address."""
        assert self.deliver is not None
        response = await self._answer(scope, receive)
        if response is not None:
            response = response.with_headers(("Date", formatdate(usegmt=True)))
            await self.deliver(response._replace(source=PROXY_SOURCE), scope["method"], receive, send)

    async def _answer(self, scope: "Scope", receive: "Receive") -> Response | None:
        """The answer to a call; None if the caller has left."""
        raw = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
        id_, slash, path = raw.partition(CALLBACKS)[2].partition("/")
        address = self._book.find(id_)
        if address is None or (slash and not _may_follow(address, path)):
            return problem(404, "Not Found", "No callback has this address.")
        refusal = self._refusal(address, scope["headers"])
        if refusal is not None:
            return refusal
        address.calls += 1
        receiver = receiver_of(address.target)
        self._under_way[receiver] += 1
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = await _read_body(receive)
            if body is None:
                return problem(413, "Content Too Large", f"A callback may have {MAX_PAYLOAD} bytes.")
            headers = read_headers(scope)
            query = scope["query_string"].decode("latin-1")
            plain = decoded_body(body, headers.get("content-encoding", ""), MAX_PAYLOAD)
            call = ReceivedCall(
                scope["method"], path, query, headers.get("content-type", ""), body if plain is None else plain
            )
            return await self._pass_on(address, call, body, scope["headers"])
        except TimeoutError:
            return problem(408, "Request Timeout", f"The body did not arrive within {READ_SECONDS:g} seconds.")
        except ConnectionResetError:
            return None
        finally:
            self._under_way[receiver] -= 1
            self._under_way += Counter()  # without receivers that have none

    def _refusal(self, address: Address, headers: Headers) -> Response | None:
        """Why a call is not accepted now."""
        if any(name.lower() == b"via" and self.via in value for name, value in headers):
            return problem(508, "Loop Detected", "The call comes from this proxy itself.")
        if address.calls >= MAX_CALLS:
            return problem(429, "Too Many Requests", f"The address accepts {MAX_CALLS} calls.")
        under_way, same = self._under_way.total(), self._under_way[receiver_of(address.target)]
        if under_way >= MAX_UNDER_WAY or same >= MAX_TO_RECEIVER:
            detail = f"{under_way} callbacks are being passed on, {same} of them to this receiver."
            return problem(503, "Service Unavailable", detail).with_headers(("Retry-After", "1"))
        return None

    async def _pass_on(self, address: Address, call: ReceivedCall, body: bytes, headers: Headers) -> Response:
        """Pass a call on with its body as it came, and record it; returns the answer to the API."""
        violations = callback_violations(address.place, call)
        callback = Callback(
            "", 0, "", target_of(address.target, call), "", payload=call.body, method=call.method,
            media_type=call.media_type, is_received=True, violations=violations_text(violations) if violations else "",
        )  # fmt: skip
        if violations:
            place = "/".join(map(str, violations[0].location))
            _log.warning("a callback is not as the document says: %s (%s)", place, violations[0].code)
        if self._fails and any(each.code not in WARNINGS for each in violations):
            result, answer = DeliveryResult(State.REFUSED, error=NOT_DESCRIBED), None
        elif self._settings.callbacks == "inbox":
            result, answer = DeliveryResult(State.KEPT, 204), None
        else:
            passed = self._passed_headers(headers, callback.violations)
            send = partial(exchange, callback._replace(payload=body), self._rules, passed)
            result, answer = await self._in_thread(f"{address.id} {address.calls}", send, receiver_of(address.target))
        state = State.FAILED if result.state is State.RETRYING else result.state  # the API may try again
        attempts = (Attempt(0.0, result.status, result.error),) if state is not State.KEPT else ()
        content = digest(f"{call.method} {call.path}?{call.query}".encode(), call.body)
        self._note(address, callback._replace(state=state, attempts=attempts), content)
        return _response(result, answer)

    async def _in_thread(self, lane: str, action: Callable[[], Sent], receiver: str) -> Sent:
        """The action's result. Receivers take turns, so that one that does not answer holds up no other."""
        done: Future[Sent] = Future()

        def work() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(action())
                except Exception as error:
                    done.set_exception(error)

        self._threads.add(lane, work, receiver)
        return await asyncio.wrap_future(done)

    def _passed_headers(self, headers: Headers, violations: str) -> dict[str, str]:
        """The headers with which a call is passed on."""
        passed: dict[str, str] = {}
        for name, value in (*end_to_end(headers), (b"via", self.via)):
            if name not in _NOT_PASSED:
                key, text = name.decode("latin-1"), value.decode("latin-1")
                passed[key] = f"{passed[key]}, {text}" if key in passed else text
        if violations and self._settings.debug_headers:
            passed[VIOLATIONS_HEADER.lower()] = violations
        return passed

    def _note(self, address: Address, callback: Callback, content: bytes) -> None:
        """Record a call in the inbox: as another attempt if it repeats the latest one."""
        if not address.shown_id:
            if len(address.early) < MAX_EARLY:
                address.early.append((callback, content))
            return
        sandbox = open_sandbox(self._engine, *address.sandbox)
        if sandbox is None:
            return
        if content != address.latest:
            address.latest = content
            address.entries += 1
        id_ = address.shown_id if address.entries == 1 else f"{address.shown_id}-{address.entries}"
        with sandbox.transaction:
            now = sandbox.clock.now()
            outbox = sandbox.open_outbox()
            known = outbox.find_claimed(id_)
            made = known or callback._replace(id=id_, due=now, attempts=())
            for attempt in callback.attempts:
                made = made.tried(attempt._replace(at=now), callback.state)
            outbox.receive(made._replace(state=callback.state))


class Redirection:
    """The callbacks that one request asks for."""

    def __init__(self, relay: CallbackRelay, request: Request, places: tuple[CallbackPlace, ...]) -> None:
        self._relay = relay
        self._request = request
        self._places = places
        self._made: list[Address] = []
        self._id = ""
        self._is_success = False
        self.reads_body = any(each.kind == BODY for each in places)

    async def apply(self, parts: RequestParts) -> RequestParts:
        """The request with addresses in place of clients' URLs."""
        if isinstance(parts.body, bytes) and len(parts.body) > CHECKED_BYTES:
            parts, self._made = await asyncio.to_thread(self._relay.replaced, parts, self._places, self._request)
        else:
            parts, self._made = self._relay.replaced(parts, self._places, self._request)
        for each in self._made:
            self._relay.add(each, self._request)
        return parts._replace(body=_pieces(parts.body)) if isinstance(parts.body, bytes) else parts

    def note_answer(self, status: int, body: Capture) -> None:
        """The API has answered the request; its answer may tell the id of what the callbacks are about."""
        self._is_success = 200 <= status < 300
        try:
            value = orjson.loads(body.content if self._made and body.is_whole else b"")
        except orjson.JSONDecodeError:
            value = None
        id_ = value.get("id") if isinstance(value, dict) else None
        self._id = id_ if isinstance(id_, str) and len(id_) <= MAX_ID else ""
        self.end()

    def end(self) -> None:
        """The inbox waits for no answer any more: there was one, or none will come."""
        made, self._made = self._made, []
        for each in made:
            self._relay.note_answer(each, self._id, is_success=self._is_success)


def _pieces(body: bytes) -> AsyncIterator[bytes] | bytes:
    """A large body in pieces, between which other requests are answered."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), PIECE):
            yield body[start : start + PIECE]

    return pieces() if len(body) > PIECE else body


def _may_follow(address: Address, path: str) -> bool:
    """Whether the API may append this path to the address."""
    return address.place.continues and not {".", ".."} & set(unquote(path).split("/"))


async def _read_body(receive: "Receive") -> bytes | None:
    """The body of a call; None if it is too large. Raises ConnectionResetError if the caller leaves."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_PAYLOAD:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _response(result: DeliveryResult, answer: Answer | None) -> Response:
    """What the API is answered: as the client has answered, or why there is no answer."""
    if answer is not None and 200 <= answer.status < 600:
        headers = end_to_end([(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers])
        kept = [(name.decode(), value.decode("latin-1")) for name, value in headers]
        media_type = next((value for name, value in kept if name == "content-type"), "")
        passed = tuple(each for each in kept if each[0] not in _NOT_ANSWERED)
        return Response(answer.status, media_type, answer.body, passed)
    if result.state is State.KEPT:
        return Response(204, "", b"")
    if result.state is State.REFUSED:
        status = 422 if result.error == NOT_DESCRIBED else 403
    else:
        status = 504 if result.error.startswith("no answer within") else 502
    return problem(status, HTTPStatus(status).phrase, f"The callback was not delivered: {result.error}.")
