"""Random requests, valid and mutated, over every operation and admin route: no 500 of our own, no hang."""

import pytest
from attack_server import attacked_server
from fuzzer import admin_targets, fuzz, read_targets

MEGABYTE = 1024 * 1024


@pytest.mark.parametrize("flags", [(), ("--strict",)])
def test_random_requests_find_no_bug(flags: tuple[str, ...]) -> None:
    targets = read_targets(admin_targets())
    with attacked_server("--log-level", "error", *flags) as server:
        report = fuzz(server.port, server.process.pid, targets, requests=1500, seed=7)
        code = server.stop()

    assert report.failures == []
    assert code == 0
    assert report.resident_last < 600 * MEGABYTE
    answered = {status // 100 for status, count in report.statuses.items() if count > 20}
    assert {2, 4} <= answered
