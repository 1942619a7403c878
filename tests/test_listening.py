"""Sockets that listen, port files, and the complaints when that is impossible."""

import socket
from pathlib import Path

import pytest

from mockserver.errors import MockServerError
from mockserver.listening import listen, port_file


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
def test_a_host_that_is_not_ours_is_a_clear_error(host: str) -> None:
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
