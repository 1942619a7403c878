"""Sockets that listen, port files, and the complaints when that is impossible."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from mockserver.errors import MockServerError
from mockserver.server.socket import CoalescingTransport, listen, port_file


def test_a_name_with_both_kinds_of_addresses_is_served_over_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [(socket.AF_INET6, ("::1", 0, 0, 0)), (socket.AF_INET, ("127.0.0.1", 0))]
    found = [(family, socket.SOCK_STREAM, 0, "", address) for family, address in kinds]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)

    with listen("localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_taken_port_is_a_clear_error() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MockServerError, match=f"^cannot listen on port {port} of '127.0.0.1': the port is taken; "):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["a..b", "203.0.113.7"])
def test_an_address_of_another_machine_is_a_clear_error(host: str) -> None:
    with pytest.raises(MockServerError, match=f"^cannot listen on port 0 of '{host}': ."):
        listen(host, 0)


def test_a_port_file_is_there_while_the_server_is(tmp_path: Path) -> None:
    path = tmp_path / "port"

    with port_file(str(path), 4024):
        assert path.read_text() == "4024\n"

    assert list(tmp_path.iterdir()) == []


def test_no_port_file_is_written_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with port_file("", 4024):
        assert list(tmp_path.iterdir()) == []


def test_a_port_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    complaint = "none/port: the port file cannot be written: No such file"
    with pytest.raises(MockServerError, match=complaint), port_file(str(tmp_path / "none" / "port"), 4024):
        pass


class Wire:
    """A transport that remembers what reached it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def corked(act: Callable[[CoalescingTransport], None]) -> Wire:
    """What reaches the wire when somebody acts, and the loop then turns once."""
    wire = Wire()

    async def turn() -> None:
        act(CoalescingTransport(cast(asyncio.Transport, wire), asyncio.get_running_loop()))
        await asyncio.sleep(0)

    asyncio.run(turn())
    return wire


def test_writes_of_one_event_loop_turn_are_sent_together() -> None:
    def answer(cork: CoalescingTransport) -> None:
        cork.write(b"head")
        cork.write(b"body")

    assert corked(answer).sent == [b"headbody"]


def test_data_written_before_closing_is_sent() -> None:
    def answer(cork: CoalescingTransport) -> None:
        cork.write(b"last words")
        cork.close()

    wire = corked(answer)

    assert (wire.sent, wire.closed) == ([b"last words"], True)


def test_data_that_is_sent_at_once_comes_after_what_was_written() -> None:
    def answer(cork: CoalescingTransport) -> None:
        cork.send(b"first")
        cork.write(b"second, ")
        cork.send(b"third")

    assert corked(answer).sent == [b"first", b"second, third"]


def test_nothing_is_sent_to_a_disconnected_client() -> None:
    def answer(cork: CoalescingTransport) -> None:
        cork.write(b"lost")
        cork._transport.close()

    assert corked(answer).sent == []


def test_a_coalescing_transport_has_all_other_attributes_of_the_transport() -> None:
    assert corked(lambda cork: None if cork.get_extra_info("peer") == "the peer" else pytest.fail()).sent == []
