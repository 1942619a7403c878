"""Settings at their limits: exactly as much as the sentence says is read, a little more is refused with it."""

import pytest

from mockserver.errors import SettingsError
from mockserver.settings.load import read_settings
from mockserver.settings.parse import read_clock, read_place, read_progression, read_retries, read_timeout
from mockserver.settings.table import ROWS, Settings


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("none", ()),
        ("0", (0,)),
        ("3600", (3600,)),
        ("0.5, 2 ,8", (0.5, 2, 8)),
        (",".join(["1"] * 20), (1,) * 20),
    ],
)
def test_retries_are_up_to_20_waits_of_up_to_an_hour(text: str, waits: tuple[float, ...]) -> None:
    assert read_retries(text) == waits


@pytest.mark.parametrize("text", ["3600.001", "-1", ",".join(["1"] * 21), "", "1,", "1,3601", "nan", "inf"])
def test_longer_or_more_retries_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="up to 20 seconds from 0 to 3600"):
        read_retries(text)


@pytest.mark.parametrize(("text", "seconds"), [("0.001", 0.001), ("1", 1), ("600", 600)])
def test_an_attempt_takes_up_to_ten_minutes(text: str, seconds: float) -> None:
    assert read_timeout(text) == seconds


@pytest.mark.parametrize("text", ["0", "0.0009", "600.001", "-1", "nan", "inf", ""])
def test_a_longer_or_shorter_attempt_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"seconds from 0\.001 to 600"):
        read_timeout(text)


@pytest.mark.parametrize(("text", "port"), [("a:1", 1), ("a:65535", 65535), ("a", None)])
def test_a_port_is_1_to_65535(text: str, port: int | None) -> None:
    assert read_place(text) == ("a", port)


@pytest.mark.parametrize("text", ["a:0", "a:65536", "a:100000", "a:", ":1", "a:-1"])
def test_an_invalid_port_is_rejected(text: str) -> None:
    with pytest.raises(SettingsError, match="HOST or HOST:PORT"):
        read_place(text)


@pytest.mark.parametrize(
    ("text", "progression"),
    [("immediate", ("immediate", 0)), ("polls:1", ("polls", 1)), ("time:0", ("time", 0)), ("time:0.2", ("time", 0.2))],
)
def test_a_progression_is_read(text: str, progression: tuple[str, float]) -> None:
    assert read_progression(text) == progression


@pytest.mark.parametrize(
    "text", ["polls:0", "polls:-1", "polls:1.5", "polls:", "time:-1", "time:", "time:nan", "now", ""]
)
def test_no_other_progression_is_read(text: str) -> None:
    with pytest.raises(SettingsError, match="'polls:COUNT' \\(1 or more\\)"):
        read_progression(text)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("flowing", (False, None)),
        ("frozen", (True, None)),
        ("1970-01-01T00:00:00Z", (False, 0)),
        ("frozen@1970-01-01T01:00:00+01:00", (True, 0)),
        ("9999-12-31T23:59:59Z", (False, 253_402_300_799)),
        ("9999-12-31T23:59:59.9Z", (False, 253_402_300_799)),
    ],
)
def test_a_clock_is_read(text: str, clock: tuple[bool, float | None]) -> None:
    assert read_clock(text) == clock


MOST = 2**53
BOUNDS = {
    "port": (0, 65535),
    "workers": (1, 64),
    "drain": (0, 3600),
    "expire_idle": (0, MOST),
    "rate_limit": (0, MOST),
    **dict.fromkeys(
        ("max_body", "body_timeout", "head_timeout", "max_head", "send_timeout", "max_connections"), (1, MOST)
    ),
    **dict.fromkeys(("journal_size", "journal_bytes", "batch_bytes", "max_sandboxes"), (1, MOST)),
}
"""Of each setting that is a number."""


def test_every_number_has_bounds() -> None:
    assert {name for name, row in ROWS.items() if type(row.default) is int} == set(BOUNDS)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_number_at_its_bounds_is_read_and_one_beyond_them_is_refused(name: str) -> None:
    least, most = BOUNDS[name]

    for number in (least, most):
        settings, _ = read_settings({}, {f"MOCKSERVER_{name.upper()}": str(number)})
        assert getattr(settings, name) == number
    for number in (least - 1, most + 1):
        with pytest.raises(SettingsError, match=f"an integer from {least} to {most}"):
            read_settings({}, {f"MOCKSERVER_{name.upper()}": str(number)})


def test_the_defaults_of_numbers_and_switches_are_the_documented_ones() -> None:
    numbers = {name: getattr(Settings(), name) for name in BOUNDS}
    switches = {name for name, row in ROWS.items() if row.default is True}

    assert numbers == {
        "port": 4024,
        "workers": 1,
        "drain": 0,
        "expire_idle": 0,
        "rate_limit": 0,
        "max_body": 32 * 1024 * 1024,
        "body_timeout": 30,
        "head_timeout": 10,
        "max_head": 65536,
        "send_timeout": 60,
        "max_connections": 2000,
        "journal_size": 1000,
        "journal_bytes": 256 * 1024 * 1024,
        "batch_bytes": 256 * 1024 * 1024,
        "max_sandboxes": 10_000,
    }
    assert switches == {"magic", "debug_headers"}


def test_what_a_sandbox_may_have_otherwise_is_listed_with_a_sentence() -> None:
    conditions = {name: row.metadata["condition"] for name, row in ROWS.items() if row.metadata["condition"]}

    assert set(conditions) == {
        "agilecloud_profile",
        "credit_check",
        "keep_order",
        "missing_variables",
        "page_weight",
    }
    assert all(each.endswith(".") for each in conditions.values())
