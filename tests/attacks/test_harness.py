"""The harness itself: it notices a server that does not answer."""

import signal

import pytest
from attack_server import attacked_server, others_are_served


def test_the_harness_reports_no_delay_for_an_idle_server() -> None:
    with attacked_server() as server, others_are_served(server):
        assert server.request("GET", "/user")[0] == 200


def test_the_harness_notices_a_blocked_server() -> None:
    with (
        attacked_server() as server,
        pytest.raises(AssertionError, match="s when idle"),
        others_are_served(server, health=0.2, sandbox=0.2),
    ):
        assert server.request("GET", "/user")[0] == 200
        server.process.send_signal(signal.SIGSTOP)
        connection = server.connect(timeout=1.5)
        connection.request("GET", "/health")
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()
        server.process.send_signal(signal.SIGCONT)
