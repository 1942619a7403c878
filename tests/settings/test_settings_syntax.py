"""The small syntaxes inside settings: clocks, progressions, and the address made of host and port."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.errors import SettingsError
from mockserver.settings.parse import (
    read_capacity,
    read_clock,
    read_endpoint,
    read_place,
    read_progression,
    read_retries,
    read_timeout,
)
from mockserver.settings.table import url_of

NOON = 1767268800.0
"""2026-01-01T12:00:00Z"""


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("flowing", (False, None)),
        ("frozen", (True, None)),
        ("2026-01-01T12:00:00Z", (False, NOON)),
        ("2026-01-01T12:00:00", (False, NOON)),
        ("frozen@2026-01-01T14:00:00+02:00", (True, NOON)),
        ("frozen@2026-01-01", (True, NOON - 12 * 3600)),
    ],
)
def test_a_clock_is_flowing_frozen_or_starts_at_an_instant(text: str, clock: tuple[bool, float | None]) -> None:
    assert read_clock(text) == clock


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone(timedelta(hours=23)))),
    st.booleans(),
)
def test_any_instant_can_be_the_start(instant: datetime, frozen: bool) -> None:
    assert read_clock(f"{'frozen@' if frozen else ''}{instant.isoformat()}") == (frozen, instant.timestamp())


@pytest.mark.parametrize("text", ["", "frozen@", "@2026-01-01", "flowing@2026-01-01", "2026-13-01", "Frozen", "now"])
def test_another_clock_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^clock is .*; wanted 'flowing', 'frozen', an ISO 8601 instant"):
        read_clock(text)


@given(st.text())
def test_any_text_is_a_clock_or_refused(text: str) -> None:
    try:
        frozen, instant = read_clock(text)
    except SettingsError as error:
        assert "wanted" in str(error)
    else:
        assert isinstance(frozen, bool)
        assert instant is None or isinstance(instant, float)


@pytest.mark.parametrize(
    ("text", "progression"),
    [
        ("immediate", ("immediate", 0)),
        ("time:0", ("time", 0)),
        ("time:2.5", ("time", 2.5)),
        ("polls:1", ("polls", 1)),
        ("polls:12", ("polls", 12)),
    ],
)
def test_a_progression_is_immediate_or_timed_or_polled(text: str, progression: tuple[str, float]) -> None:
    assert read_progression(text) == progression


@pytest.mark.parametrize(
    "text",
    [
        "",
        "immediate:",
        "time",
        "time:",
        "time:-1",
        "time:nan",
        "time:inf",
        "time:1_0",
        "polls:0",
        "polls:1.5",
        "polls:x",
    ],
)
def test_another_progression_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^progression is .*; wanted 'immediate', 'time:SECONDS'"):
        read_progression(text)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("free", float("-inf")),
        ("busy", float("inf")),
        ("2026-01-01T12:00:00", NOON),
        ("2026-01-01T13:00:00+01:00", NOON),
    ],
)
def test_capacity_is_free_or_busy_or_busy_until_an_instant(text: str, until: float) -> None:
    assert read_capacity(text) == until


@pytest.mark.parametrize("text", ["", "full", "12:00", "busy@2026-01-01", "9999-12-31T23:59:59-23:00"])
def test_another_capacity_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^capacity is .*; wanted 'free', 'busy' or an ISO 8601 instant$"):
        read_capacity(text)


@pytest.mark.parametrize(
    ("text", "waits"), [("none", ()), ("0", (0.0,)), ("0.5,2, 8", (0.5, 2.0, 8.0)), (",".join(["1"] * 20), (1.0,) * 20)]
)
def test_retries_are_waits_before_further_attempts(text: str, waits: tuple[float, ...]) -> None:
    assert read_retries(text) == waits


@pytest.mark.parametrize("text", ["", "soon", "1,", "-1", "3601", "inf", "nan", "1_0", ",".join(["1"] * 21)])
def test_other_retries_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^callback_retries is .*; wanted 'none', or up to 20 seconds"):
        read_retries(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "601", "inf", "nan", "5s"])
def test_an_invalid_callback_timeout_is_rejected(text: str) -> None:
    assert read_timeout("0.001") == 0.001
    with pytest.raises(SettingsError, match=r"^callback_timeout is .*; wanted seconds from 0\.001 to 600$"):
        read_timeout(text)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Hooks.Example", ("hooks.example", None)),
        ("receiver:8080", ("receiver", 8080)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
        ("[2001:DB8::1]:80", ("2001:db8::1", 80)),
        ("[::1]", ("::1", None)),
    ],
)
def test_a_place_is_a_host_and_perhaps_a_port(text: str, place: tuple[str, int | None]) -> None:
    assert read_place(text) == place


@pytest.mark.parametrize("text", ["", "http://a", "a:0", "a:65536", "a:b", "::1", "a/b", "a b", "*", "a:80:80", "u@a"])
def test_another_place_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^callback_allow is .*; wanted HOST or HOST:PORT"):
        read_place(text)


@pytest.mark.parametrize("text", ["http://127.0.0.1:5000", "http://127.0.0.1:5000/"])
def test_an_endpoint_is_scheme_host_and_port(text: str) -> None:
    assert read_endpoint("") == ""
    assert read_endpoint(text) == "http://127.0.0.1:5000"


@pytest.mark.parametrize("text", ["127.0.0.1:5000", "ftp://a", "http://", "http://a/b", "http://u@a", "http://a?b"])
def test_another_endpoint_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^sqs_endpoint is .*; wanted an http or https URL"):
        read_endpoint(text)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
    ],
)
def test_a_url_is_one_that_a_client_can_use(host: str, url: str) -> None:
    assert url_of(host, 80) == url
