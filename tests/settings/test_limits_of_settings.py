"""Settings at their limits: exactly as much as the sentence says is read, a little more is refused with it."""

import pytest

from mockserver.errors import SettingsError
from mockserver.settings.parse import read_clock, read_place, read_progression, read_retries, read_timeout


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
