"""Sockets that listen, port files, and the complaints when that is impossible."""

import asyncio
import errno
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mockserver.errors import MockServerError
from mockserver.server import socket as module
from mockserver.server.socket import CoalescingTransport, accepting_many, listen, port_file


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


class Peer(Wire):
    """A transport whose peer does not read."""

    def __init__(self, unread: int = 0, *, takes_eof: bool = True) -> None:
        super().__init__()
        self.steps: list[str] = []
        self._unread, self._takes_eof = unread, takes_eof

    def get_write_buffer_size(self) -> int:
        return self._unread

    def can_write_eof(self) -> bool:
        return self._takes_eof

    def write_eof(self) -> None:
        self.steps.append("eof")

    def abort(self) -> None:
        self.steps.append("abort")


def later(peer: Peer, act: Callable[[CoalescingTransport], None]) -> list[float]:
    """After how many seconds the peer is disconnected."""
    calls: list[tuple[float, object]] = []
    loop = SimpleNamespace(
        call_later=lambda seconds, action: calls.append((seconds, action)), call_soon=lambda action: action()
    )
    transport = CoalescingTransport(cast(asyncio.Transport, peer), cast(asyncio.AbstractEventLoop, loop), 7.0)
    act(transport)
    assert all(action == peer.abort for _, action in calls)
    return [seconds for seconds, _ in calls]


@pytest.mark.parametrize(("unread", "waits"), [(0, []), (1, [7.0])])
def test_a_peer_that_does_not_read_the_end_is_disconnected_after_a_while(unread: int, waits: list[float]) -> None:
    assert later(Peer(unread), lambda transport: transport.close()) == waits
    closed = Peer(unread)
    closed.close()
    assert later(closed, lambda transport: transport.close()) == []


@pytest.mark.parametrize(("takes_eof", "steps"), [(True, ["eof"]), (False, [])])
def test_a_peer_that_still_sends_may_read_the_response(takes_eof: bool, steps: list[str]) -> None:
    peer = Peer(takes_eof=takes_eof)

    assert later(peer, lambda transport: transport.finish(2.5)) == [2.5]
    assert peer.steps == steps
    peer.close()
    assert later(peer, lambda transport: transport.finish(2.5)) == []


def test_a_disturbed_response_is_cut_when_the_server_stops_whatever_comes_first() -> None:
    first, second, third = Peer(), Peer(), Peer()

    def disturb_and_end(transport: CoalescingTransport) -> None:
        transport.disturb()
        transport.end()

    def end_and_disturb(transport: CoalescingTransport) -> None:
        transport.end()
        transport.disturb()

    later(first, disturb_and_end)
    later(second, end_and_disturb)
    later(third, lambda transport: transport.end())

    assert [each.steps for each in (first, second, third)] == [["abort"], ["abort"], []]


def test_by_default_a_peer_has_a_minute_to_read() -> None:
    calls: list[float] = []
    loop = SimpleNamespace(call_later=lambda seconds, _: calls.append(seconds))

    CoalescingTransport(cast(asyncio.Transport, Peer(1)), cast(asyncio.AbstractEventLoop, loop)).close()

    assert calls == [60.0]


def test_sixteen_connections_are_accepted_in_a_round() -> None:
    assert (module.BACKLOG, module.ACCEPTED_AT_ONCE) == (2048, 16)
    with listen("127.0.0.1", 0) as listener:
        with accepting_many(listener) as listeners:
            assert (len(listeners), listeners[0]) == (16, listener)
            assert {each.getsockname() for each in listeners} == {listener.getsockname()}
        assert [each.fileno() for each in listeners[1:]] == [-1] * 15
        assert listener.fileno() >= 0


@pytest.mark.parametrize(("most", "files"), [(1024, 1024), (resource.RLIM_INFINITY, sys.maxsize)])
def test_the_number_of_files_that_may_be_open(monkeypatch: pytest.MonkeyPatch, most: int, files: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (most, 5000))

    assert module.open_files() == files


@pytest.mark.parametrize("error", [None, OSError(), ValueError()])
def test_as_many_files_as_the_system_allows_may_be_open(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    raised: list[object] = []

    def limit(kind: int, limits: tuple[int, int]) -> None:
        raised.append((kind, limits))
        if error is not None:
            raise error

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 5000))
    monkeypatch.setattr(resource, "setrlimit", limit)

    module.raise_open_files()

    assert raised == [(resource.RLIMIT_NOFILE, (5000, 5000))]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.EADDRINUSE, "x"), "the port is taken; choose another with --port, or --port 0 for a free one"),
        (OSError(errno.EACCES, "x"), "Permission denied"),
        (OSError("odd"), "odd"),
        (socket.gaierror(-2, "Name or service not known"), "[Errno -2] Name or service not known"),
    ],
)
def test_an_error_of_the_system_is_said_in_words(error: OSError, text: str) -> None:
    assert module._format_os_error(error) == text
