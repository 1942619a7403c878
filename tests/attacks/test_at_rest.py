"""A server that has nothing to do does nothing, and one that waits for a receiver ends when it is told to."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from attack_server import AttackedServer, attacked_server
from receiver import listening, receiving


def queue(server: AttackedServer, target: str, prompt: str = "hello") -> None:
    body = json.dumps({"prompts": [prompt], "callback": target}).encode()
    assert server.request("POST", "/ai/batches", body)[0] == 202


def cpu_seconds(server: AttackedServer) -> float:
    """What the process has used so far, its threads included."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wakeups(server: AttackedServer) -> int:
    """How often the process went to sleep so far, in all its threads."""
    found = 0
    for status in Path(f"/proc/{server.process.pid}/task").glob("*/status"):
        [line] = [each for each in status.read_text().splitlines() if each.startswith("voluntary_ctxt_switches")]
        found += int(line.split()[1])
    return found


@pytest.mark.parametrize("is_used", [False, True])
def test_an_idle_server_uses_no_cpu(is_used: bool) -> None:
    with attacked_server("--progression", "time:2") as other, attacked_server() as idle, receiving() as receiver:
        if is_used:  # an alarm for a batch that ends in an hour, and one for a batch that has ended
            queue(idle, receiver.url, "[mock:slow=1h]")
            queue(idle, receiver.url)
            receiver.wait()
        idle.request("GET", "/user")
        queue(other, receiver.url)
        before, cpu, woken = time.monotonic(), cpu_seconds(idle), wakeups(idle)

        receiver.wait()  # what the other server sends after two seconds is the end of the measure

        lasted = time.monotonic() - before
        assert lasted > 1
        assert cpu_seconds(idle) - cpu <= 0.05 * lasted
        assert wakeups(idle) - woken <= 10 * lasted


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigterm_ends_a_server_whose_callback_receivers_are_slow(number: signal.Signals) -> None:
    flags = ("--progression", "immediate", "--callback-timeout", "600", "--callback-retries", "600")
    with attacked_server(*flags) as server, listening() as silent, receiving(500) as failing:
        queue(server, failing.url)
        failing.wait()
        queue(server, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        wire, _ = silent.accept()
        with wire:
            assert wire.recv(4).startswith(b"POST")

            assert server.stop(number, within=10) == 0
