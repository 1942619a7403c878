"""Parsers of settings with a syntax of their own, and their errors."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from mockserver.errors import SettingsError
from mockserver.lazy import lazy_module, lazy_pattern

if TYPE_CHECKING:
    import datetime
else:
    datetime = lazy_module("datetime")

CLOCK_WANTED = "'flowing', 'frozen', an ISO 8601 instant or 'frozen@INSTANT'"
PROGRESSION_WANTED = "'immediate', 'time:SECONDS' (0 or more) or 'polls:COUNT' (1 or more)"
RETRIES_WANTED = "'none', or up to 20 seconds from 0 to 3600, separated by commas"
TIMEOUT_WANTED = "seconds from 0.001 to 600"
PLACE_WANTED = "HOST or HOST:PORT, an IPv6 address in brackets"
ENDPOINT_WANTED = "an http or https URL without path and query"
CORS_WANTED = "'local', 'any', 'off', or origins such as https://app.example:8080, separated by commas"
CAPACITY_WANTED = "'free', 'busy' or an ISO 8601 instant"
STORE_WANTED = "'memory', 'sqlite:///ABSOLUTE/PATH.db', or 'redis://HOST:PORT/DB' (also rediss:// and unix://)"
CORS_LOCAL, CORS_ANY, CORS_OFF = "local", "any", "off"
REPLICA_WANTED = "1 to 253 of the characters A-Z a-z 0-9 . _ -"
_REPLICA = lazy_pattern(r"[A-Za-z0-9._-]{1,253}")
_ORIGIN = lazy_pattern(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?", re.IGNORECASE)
_USUAL_PORTS = {"http": "80", "https": "443"}
_PLACE = lazy_pattern(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")
_USER = lazy_pattern(r"[A-Za-z0-9._~%!$&'()*+,;=:@-]*")
LATEST_YEAR = 253_402_300_799.0
"""The last second that a clock can show."""


class StoreAddress(NamedTuple):
    """Where sandboxes are kept."""

    kind: str
    """`memory`, `sqlite` or `redis`."""
    target: str = ""
    """The path of the SQLite file; the URL of the Redis server."""


def read_replica(text: str, place: str = "replica") -> str:
    """The name of a server among others, as logs and metrics show it."""
    if text and not _REPLICA.fullmatch(text):
        raise SettingsError(f"{place}: {truncated_repr(text)} is no name of a replica; wanted {REPLICA_WANTED}")
    return text


def read_store(text: str, place: str = "store") -> StoreAddress:
    """The address of a store. Errors do not repeat the text, which may hold a password."""
    if text == "memory":
        return StoreAddress(text)
    scheme, found, rest = text.partition("://")
    if scheme.lower() == "sqlite" or scheme.lower().startswith("sqlite:"):
        return StoreAddress("sqlite", _store_path(rest, place, has_slashes=bool(found)))
    if not found or scheme.lower() not in {"redis", "rediss", "unix"}:
        known = f"the scheme {scheme[:20]!r} is unknown" if found else "it is no URL"
        raise SettingsError(f"{place}: {known}; wanted {STORE_WANTED}")
    problem = _user_problem(rest) or _redis_problem(scheme.lower(), rest)
    if problem:
        raise SettingsError(f"{place}: {problem}; wanted redis://HOST:PORT/DB or unix:///PATH/TO.sock?db=DB")
    return StoreAddress("redis", f"{scheme.lower()}://{rest}")


def _store_path(rest: str, place: str, *, has_slashes: bool) -> str:
    """The absolute path of `sqlite:///data/x.db`, and of `sqlite:////data/x.db`."""
    if "?" in rest or "#" in rest:
        raise SettingsError(f"{place}: a SQLite URL has no '?' and no '#'; wanted sqlite:///ABSOLUTE/PATH.db")
    if not has_slashes or not rest.startswith("/"):
        raise SettingsError(f"{place}: the path of a SQLite file must be absolute; wanted sqlite:///ABSOLUTE/PATH.db")
    path = "/" + rest.lstrip("/")
    if path.endswith("/") or "\0" in path:
        raise SettingsError(f"{place}: the URL names no file; wanted sqlite:///ABSOLUTE/PATH.db")
    return path


def _user_problem(rest: str) -> str:
    """What is wrong with user and password of a Redis URL; empty if nothing is."""
    user = rest.partition("?")[0].partition("/")[0].rpartition("@")[0]
    is_encoded = "#" not in rest and _USER.fullmatch(user)
    return "" if is_encoded else "user and password have characters that must be percent-encoded"


def _redis_problem(scheme: str, rest: str) -> str:
    """What is wrong with a Redis URL; empty if nothing is."""
    place, _, query = rest.partition("?")
    if scheme == "unix":
        has_path = place.rpartition("@")[2].startswith("/")
        return "" if has_path and _has_only(query, "db", "password", "username") else "the socket's path is missing"
    authority, _, database = place.partition("/")
    host, colon, port = authority.rpartition("@")[2].rpartition(":")
    if not colon or "]" in port:
        host, port = authority.rpartition("@")[2], "6379"
    if not host:
        return "the host is missing"
    if not (is_digits(port) and 0 < int(port) < 65536):
        return "the port is no number from 1 to 65535"
    if not _PLACE.fullmatch(authority.rpartition("@")[2]):
        return "the host is no name and no address"
    if database and not is_digits(database):
        return "the database is no number"
    return (
        ""
        if _has_only(query, "ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
        else "the query is unknown"
    )


def _has_only(query: str, *names: str) -> bool:
    return all(part.partition("=")[0] in names for part in query.split("&") if part)


def read_clock(text: str, place: str = "clock") -> tuple[bool, float | None]:
    """Whether the clock is frozen, and the instant it starts at; None is the current time."""
    if text in ("flowing", "frozen"):
        return text == "frozen", None
    word, at, instant = text.rpartition("@")
    start = read_instant(instant)
    if start is None or word != ("frozen" if at else ""):
        raise invalid_value(place, text, CLOCK_WANTED)
    return bool(at), start


LONGEST_PROGRESSION = 10**12
"""In seconds, or polls."""


def read_progression(text: str, place: str = "progression") -> tuple[str, float]:
    """The progression, and its amount: seconds for `time`, polls for `polls`, 0 for `immediate`."""
    kind, _, amount = text.partition(":")
    if text == "immediate":
        return kind, 0
    if kind == "polls" and is_digits(amount) and 1 <= int(amount) <= LONGEST_PROGRESSION:
        return kind, int(amount)
    if kind == "time" and (seconds := _seconds(amount)) is not None and seconds <= LONGEST_PROGRESSION:
        return kind, seconds
    raise invalid_value(place, text, PROGRESSION_WANTED)


def read_capacity(text: str, place: str = "capacity") -> float:
    """Until when batches wait, in Unix seconds of sandbox time: minus infinity if free, infinity if busy."""
    if text in {"free", "busy"}:
        return float("-inf" if text == "free" else "inf")
    instant = read_instant(text)
    if instant is None:
        raise invalid_value(place, text, CAPACITY_WANTED)
    return instant


def read_instant(text: str) -> float | None:
    """An ISO 8601 instant in Unix seconds, in UTC unless it has an offset; None if invalid."""
    try:
        instant = datetime.datetime.fromisoformat(text)
        instant = (instant if instant.tzinfo else instant.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    except (ValueError, OverflowError):  # past the year 9999 in UTC
        return None
    return min(instant.timestamp(), LATEST_YEAR)


def read_retries(text: str, place: str = "callback_retries") -> tuple[float, ...]:
    """The waits before each further attempt, in seconds."""
    if text == "none":
        return ()
    waits = [_seconds(part.strip()) for part in text.split(",")]
    found = tuple(wait for wait in waits if wait is not None and wait <= 3600)
    if len(found) < len(waits) or len(waits) > 20:
        raise invalid_value(place, text, RETRIES_WANTED)
    return found


def read_timeout(text: str, place: str = "callback_timeout") -> float:
    """The timeout of one attempt, in seconds."""
    seconds = _seconds(text)
    if seconds is None or not 0.001 <= seconds <= 600:
        raise invalid_value(place, text, TIMEOUT_WANTED)
    return seconds


def read_place(text: str, place: str = "callback_allow") -> tuple[str, int | None]:
    """A host in lower case, and a port; None is any port."""
    found = _PLACE.fullmatch(text)
    port = int(found[3]) if found and found[3] else None
    if found is None or port == 0 or (port or 0) > 65535:
        raise invalid_value(place, text, PLACE_WANTED)
    return (found[1] or found[2]).lower(), port


def read_endpoint(text: str, place: str = "sqs_endpoint") -> str:
    """A URL's scheme and authority; empty for an empty text."""
    if not text:
        return ""
    scheme, _, authority = text.rstrip("/").partition("://")
    if scheme not in {"http", "https"}:
        raise invalid_value(place, text, ENDPOINT_WANTED)
    try:
        read_place(authority)
    except SettingsError as error:
        raise invalid_value(place, text, ENDPOINT_WANTED) from error
    return f"{scheme}://{authority}"


def read_cors(text: str, place: str = "cors") -> frozenset[str]:
    """The allowed origins, as browsers send them; CORS_LOCAL and CORS_ANY are wildcards, an empty result is off."""
    parts = [part.strip() for part in text.split(",")]
    if parts == [CORS_OFF]:
        return frozenset()
    found = [part if part in {CORS_LOCAL, CORS_ANY, "null"} else _origin(part) for part in parts]
    if None in found:
        raise invalid_value(place, text, CORS_WANTED)
    return frozenset(each for each in found if each is not None)


def _origin(text: str) -> str | None:
    """An origin in lower case, without its scheme's default port; None if invalid."""
    found = _ORIGIN.fullmatch(text.lower())
    if found is None or int(found[3] or 1) not in range(1, 65536):
        return None
    scheme, host, port = found.groups()
    return f"{scheme}://{host}:{int(port)}" if port and port != _USUAL_PORTS.get(scheme) else f"{scheme}://{host}"


SYNTAXES: Mapping[str, Callable[[str, str], object]] = {
    "store": read_store,
    "replica": read_replica,
    "clock": read_clock,
    "progression": read_progression,
    "callback_retries": read_retries,
    "callback_timeout": read_timeout,
    "callback_allow": read_place,
    "sqs_endpoint": read_endpoint,
    "cors": read_cors,
}


def is_digits(text: str) -> bool:
    """Whether it is ASCII digits only; Python's int() also accepts `4_024` and other scripts' digits."""
    return text.isascii() and text.isdigit() and len(text) < 20


class InvalidValue(SettingsError):
    """A setting's value that is not of the form it has to have."""

    def __init__(self, name: str, came: str, wanted: str) -> None:
        super().__init__(f"{name} is {came}; wanted {wanted}")
        self.came = came
        self.wanted = wanted


def invalid_value(place: str, came: object, wanted: str) -> InvalidValue:
    return InvalidValue(place, truncated_repr(came), wanted)


def truncated_repr(came: object) -> str:
    """The value for an error message: one line, shortened."""
    text = repr(came)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") and "_" not in text else None
