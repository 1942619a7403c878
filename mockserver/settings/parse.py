"""Parsers of settings with a syntax of their own, and their errors."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mockserver.errors import SettingsError
from mockserver.lazy import lazy_module

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
CORS_LOCAL, CORS_ANY, CORS_OFF = "local", "any", "off"
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?", re.IGNORECASE)
_USUAL_PORTS = {"http": "80", "https": "443"}
_PLACE = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?")
LATEST_YEAR = 253_402_300_799.0
"""The last second that a clock can show."""


def read_clock(text: str, place: str = "clock") -> tuple[bool, float | None]:
    """Whether the clock is frozen, and the instant it starts at; None is the current time."""
    if text in ("flowing", "frozen"):
        return text == "frozen", None
    word, at, instant = text.rpartition("@")
    start = read_instant(instant)
    if start is None or word != ("frozen" if at else ""):
        raise invalid_value(place, text, CLOCK_WANTED)
    return bool(at), start


def read_progression(text: str, place: str = "progression") -> tuple[str, float]:
    """The progression, and its amount: seconds for `time`, polls for `polls`, 0 for `immediate`."""
    kind, _, amount = text.partition(":")
    if text == "immediate":
        return kind, 0
    if kind == "polls" and is_digits(amount) and int(amount) >= 1:
        return kind, int(amount)
    if kind == "time" and (seconds := _seconds(amount)) is not None:
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
