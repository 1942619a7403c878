"""Makes one attempt to deliver a callback over HTTP: to allowed addresses only, in bounded time, without redirects."""

import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Event, Timer
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from mockserver.sandbox.callbacks import Callback, State
from mockserver.web.callbacks.addresses import is_local, is_loopback, is_loopback_name
from mockserver.web.callbacks.policy import DeliveryPolicy, DeliveryResult, classify_status

MAX_READ = 65_536
"""Bytes of a response body that are read, so that the receiver can finish sending."""
_NAMES = "--callback-allow names hosts that may be called"
_PATH = "/%:@!$&'()*+,;=-._~"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class ForbiddenTarget(Exception):
    """A target that is not allowed. Nothing was sent, and its name was not resolved."""


class _Address(NamedTuple):
    """A parsed target."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query, in ASCII."""


class Answer(NamedTuple):
    """What the receiver answered."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    """Its first MAX_READ bytes."""


def send(callback: Callback, rules: DeliveryPolicy) -> DeliveryResult:
    """Send the payload to the callback's target; returns the result."""
    return exchange(callback, rules, rules.headers(callback.id, callback.media_type))[0]


def exchange(
    callback: Callback, rules: DeliveryPolicy, headers: Mapping[str, str]
) -> tuple[DeliveryResult, Answer | None]:
    """Send the payload with these headers to the callback's target; returns the result, and the answer if one came."""
    try:
        address = _read_address(callback.target)
        places = _find_places(address, rules)
    except ForbiddenTarget as error:
        return DeliveryResult(State.REFUSED, error=str(error)), None
    except OSError as error:
        return DeliveryResult(State.RETRYING, error=f"{address.host} cannot be found: {error}"), None
    hurry = Event()
    try:
        answer = _exchange(address, places, callback, headers, _Deadline(rules.timeout, hurry))
    except (OSError, HTTPException) as error:
        is_late = hurry.is_set() or isinstance(error, TimeoutError)
        said = f"no answer within {rules.timeout:g} seconds" if is_late else str(error) or type(error).__name__
        return DeliveryResult(State.RETRYING, error=said[:400]), None
    return classify_status(answer.status), answer


def _read_address(target: str) -> _Address:
    try:
        parts = urlsplit(target)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ForbiddenTarget(f"no URL that can be called: {error}") from error
    if parts.scheme not in _DEFAULT_PORTS or not host or port == 0:
        raise ForbiddenTarget("no URL that can be called")
    query = f"?{quote(parts.query, safe=_PATH + '?')}" if parts.query else ""
    path = quote(parts.path or "/", safe=_PATH) + query
    return _Address(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], path)


def _find_places(address: _Address, rules: DeliveryPolicy) -> list[str]:
    """The IP addresses to try; raises ForbiddenTarget, and OSError if there are none.

    A name is resolved only if it is allowed: a DNS query would leave the machine.
    """
    host, port = address.host, address.port
    is_allowed = _is_allowed(host, port, rules)
    # "localhost" is in every hosts file; a resolver may ask the network for names below it.
    name = "localhost" if is_loopback_name(host) else host
    is_here = is_loopback_name(host) or is_loopback(host)
    if is_here and not (is_allowed or rules.allows_loopback):
        raise ForbiddenTarget(f"{host[:200]} is loopback, and the server listens beyond it; {_NAMES}")
    if not (is_allowed or is_here):
        raise ForbiddenTarget(f"{host[:200]} is not loopback; {_NAMES}")
    found = [str(each[4][0]) for each in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)]
    for each in found:
        _check_place(host, each, port, rules, is_allowed=is_allowed)
    return list(dict.fromkeys(found))


def _check_place(host: str, place: str, port: int, rules: DeliveryPolicy, *, is_allowed: bool) -> None:
    """Raises ForbiddenTarget if a name resolves to an address that is not allowed.

    The owner of a domain controls where its names resolve to, so allowing a name does not allow loopback.
    """
    if not (is_allowed or is_loopback(place)):
        raise ForbiddenTarget(f"{host[:200]} is {place}, which is not loopback; {_NAMES}")
    is_named = _is_allowed(place, port, rules) or (is_allowed and (is_loopback_name(host) or is_local(host)))
    if is_local(place) and not (rules.allows_loopback or is_named):
        detail = f"{host[:200]} is {place}, which is loopback, and the server listens beyond it"
        raise ForbiddenTarget(f"{detail}; {_NAMES}")


def _is_allowed(host: str, port: int, rules: DeliveryPolicy) -> bool:
    return not rules.allowed.isdisjoint({(host, None), (host, port)})


class _Deadline(NamedTuple):
    """How long an attempt may take."""

    seconds: float
    hurry: Event
    """Set if it took longer."""


def _exchange(
    address: _Address, places: list[str], callback: Callback, headers: Mapping[str, str], deadline: _Deadline
) -> Answer:
    end, hurry = time.monotonic() + deadline.seconds, deadline.hurry
    wire = _connect(places, address.port, end)
    connection = HTTPConnection(address.host, address.port)
    if address.scheme == "https":
        context = ssl.create_default_context()
        connection = HTTPSConnection(address.host, address.port, context=context)
        wire = context.wrap_socket(wire, server_hostname=address.host, do_handshake_on_connect=False)
    connection.sock = wire
    with wire, _cut_at(end, wire, hurry):
        if isinstance(wire, ssl.SSLSocket):
            wire.do_handshake()
        connection.request(callback.method, address.path, callback.payload or None, {**headers, "Connection": "close"})
        response = connection.getresponse()
        if hurry.is_set():  # The cut may look like the end of the head.
            raise TimeoutError
        body = b""
        with suppress(OSError, HTTPException):
            body = response.read(MAX_READ)
        response.close()
    return Answer(response.status, tuple(response.getheaders()), body)


def _connect(places: list[str], port: int, end: float) -> socket.socket:
    """A connection to the first address that accepts one; only to checked addresses."""
    for place in places[:-1]:
        with suppress(OSError):
            return socket.create_connection((place, port), _rest(end))
    return socket.create_connection((places[-1], port), _rest(end))


def _rest(end: float) -> float:
    return max(end - time.monotonic(), 0.001)


@contextmanager
def _cut_at(end: float, wire: socket.socket, hurry: Event) -> Iterator[None]:
    """Close the connection at the deadline, since a receiver that sends single bytes would never reach a socket
    timeout.
    """

    def cut() -> None:
        hurry.set()
        with suppress(OSError):
            # The TCP socket below TLS, which would otherwise send a close notification.
            socket.socket.shutdown(wire, socket.SHUT_RDWR)

    timer = Timer(_rest(end), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
