"""Where the verdict's findings begin: one step before nothing is said, at the bound something is."""

import pytest
from faulty_clients import Client

from mockserver.http import Request, Response


def codes(client: Client) -> list[str]:
    return [each.code for each in client.findings()]


@pytest.mark.parametrize(
    ("pauses", "is_blamed"),
    [
        ((20, 0.1, 20), False),
        ((20, 0.1, 0.1), True),
        ((20, 0.1, 20, 0.1), True),
        ((0.1,), False),
        ((0.1, 0.1), False),
        ((0.1, 0.1, 0.1), True),
    ],
)
def test_two_early_polls_are_a_loop_and_one_is_not(pauses: tuple[float, ...], is_blamed: bool) -> None:
    client = Client(progression="time:60")
    id_ = client.queue("one")

    for pause in pauses:
        client.read_after(pause, id_)

    assert codes(client) == ["polled-too-fast"] * is_blamed


@pytest.mark.parametrize(
    ("life", "pause", "is_blamed"),
    [
        (60, 0.91, False),
        (60, 0.89, True),
        (10, 0.91, False),
        (10, 0.89, True),
        (5, 0.46, False),  # a batch made short may be read ten times in its life
        (5, 0.44, True),
        (1, 0.091, False),
        (1, 0.089, True),
    ],
)
def test_a_poll_is_early_before_nine_tenths_of_the_interval(life: int, pause: float, is_blamed: bool) -> None:
    client = Client(progression=f"time:{life}")
    id_ = client.queue("one")

    for _ in range(4):
        client.read_after(pause, id_)

    assert codes(client) == ["polled-too-fast"] * is_blamed


@pytest.mark.parametrize(("waited", "is_early"), [(0.0, True), (8.9, True), (9.1, False), (10.0, False), (60.0, False)])
def test_a_wait_counts_as_kept_after_nine_tenths_of_retry_after(waited: float, is_early: bool) -> None:
    client = Client()
    client.note(Request("GET", "/v1/files/x"), Response(503, headers=(("Retry-After", "10"),)))
    client.pass_wall(waited)
    client.note(Request("GET", "/v1/files/x"), Response(200))

    assert codes(client) == ["retry-after-ignored"] * is_early


@pytest.mark.parametrize(("status", "is_blamed"), [(200, False), (399, False), (400, True), (429, True), (503, True)])
def test_retry_after_counts_on_errors_only(status: int, is_blamed: bool) -> None:
    client = Client()
    client.note(Request("GET", "/x"), Response(status, headers=(("Retry-After", "10"),)))
    client.note(Request("GET", "/x"), Response(204))

    assert codes(client) == ["retry-after-ignored"] * is_blamed


@pytest.mark.parametrize(
    ("status", "sent", "is_blamed"),
    [
        (400, 1, False),
        (400, 2, True),
        (401, 2, True),
        (402, 2, False),
        (402, 3, True),
        (403, 2, True),
        (404, 2, True),
        (405, 2, True),
        (409, 3, False),
        (409, 4, True),
        (410, 2, True),
        (413, 2, True),
        (415, 2, True),
        (422, 2, True),
        (408, 9, False),
        (425, 9, False),
        (429, 9, False),
        (500, 9, False),
        (503, 9, False),
    ],
)
def test_permanent_errors_may_be_retried_a_limited_number_of_times(status: int, sent: int, is_blamed: bool) -> None:
    client = Client()
    for _ in range(sent):
        client.note(Request("GET", "/v1/files/x"), Response(status))

    assert codes(client) == ["hopeless-retry"] * is_blamed


def test_a_finding_names_twenty_exchanges_and_counts_all() -> None:
    client = Client()
    for _ in range(25):
        client.note(Request("GET", "/v1/files/x"), Response(404))

    [found] = client.findings()

    assert found.exchanges == tuple(range(1, 21))
    assert "sent 25 times" in found.sentence


@pytest.mark.parametrize(("name", "severity"), [("hopeless-retry", "error"), ("polled-too-fast", "warning")])
def test_findings_are_as_severe_as_the_docs_say(name: str, severity: str) -> None:
    client = Client(progression="time:60")
    id_ = client.queue("one")
    for _ in range(4):
        client.read_after(0.1, id_)
    for _ in range(2):
        client.note(Request("GET", "/v1/files/x"), Response(404))

    assert {each.code: each.severity for each in client.findings()}[name] == severity
