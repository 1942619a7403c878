"""Where a delivery may go, value by value: loopback, what is allowed besides, and never a question to a name server."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from builders import make_settings
from receiver import PATIENCE, listening, receiving

from mockserver.sandbox.callbacks import Callback, State
from mockserver.web.callbacks import http
from mockserver.web.callbacks.policy import DeliveryPolicy, DeliveryResult, classify_status, policy_of

ELSEWHERE = "192.0.2.1"
"""An address for documentation: nobody is there."""


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names mean; a name that is asked for is noted with a key, and no connection can be made but to loopback."""
    known: dict[str, list[str]] = {}
    connect = socket.create_connection

    def find(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        found = [host] if host == "127.0.0.1" else known.setdefault(host, [host])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    def connect_here(address: tuple[str, int], timeout: float) -> socket.socket:
        assert address[0] == "127.0.0.1", "traffic would leave the machine"
        return connect(address, timeout)

    monkeypatch.setattr(socket, "getaddrinfo", find)
    monkeypatch.setattr(socket, "create_connection", connect_here)
    return known


def send(target: str, **rules: Any) -> DeliveryResult:
    return http.send(Callback("some-id", 1, "agentfirst", target, "", payload=b"{}"), DeliveryPolicy(**rules))


@pytest.mark.parametrize(
    "target",
    [
        f"http://{ELSEWHERE}/",
        "https://hooks.example/told",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://[::ffff:192.0.2.1]/",
        "http://[fe80::1]/",
        "http://2130706433/",
        "http://127.1/",
        "http://localhost.example/",
        "http://127.0.0.1.example/",
        "http://127.0.0.1@hooks.example/",
        "http://hooks.example#@127.0.0.1/",
        "http://xn--/",
        f"http://{'a' * 300}/",
    ],
)
def test_a_callback_beyond_loopback_is_refused_without_dns(resolver: dict[str, list[str]], target: str) -> None:
    outcome = send(target)

    assert outcome.state is State.REFUSED
    assert "is not loopback; --callback-allow names" in outcome.error
    assert resolver == {}


def test_a_name_with_any_address_beyond_loopback_is_refused(resolver: dict[str, list[str]]) -> None:
    resolver["localhost"] = ["127.0.0.1", ELSEWHERE]

    assert send("http://localhost/").error.startswith(f"localhost is {ELSEWHERE}, which is not loopback")


@pytest.mark.parametrize(
    "target", ["http://", "http:///path", "http://[::1", "http://host:99999/", "http://localhost:0/", "arn:aws:s3:a"]
)
def test_an_invalid_callback_url_is_refused(target: str) -> None:
    outcome = send(target)

    assert (outcome.state, outcome.error[:25]) == (State.REFUSED, "no URL that can be called")


def test_names_under_localhost_are_this_machine(resolver: dict[str, list[str]]) -> None:
    resolver["localhost"] = ["127.0.0.1"]
    with receiving() as receiver:
        port = receiver.server.server_port

        assert send(f"http://my-app.localhost:{port}/").state is State.DELIVERED

        assert receiver.wait().headers["host"] == f"my-app.localhost:{port}"
    assert list(resolver) == ["localhost"]


@pytest.mark.parametrize("port", [None, "its own"])
def test_a_host_that_is_allowed_is_called_where_it_was_found(resolver: dict[str, list[str]], port: str | None) -> None:
    resolver["receiver.test"] = ["127.0.0.1"]
    with receiving() as receiver:
        place = ("receiver.test", receiver.server.server_port if port else None)

        outcome = send(f"http://Receiver.TEST:{receiver.server.server_port}/", allowed=frozenset({place}))

    assert outcome == DeliveryResult(State.DELIVERED, 200)


def test_a_host_is_allowed_at_its_port_only(resolver: dict[str, list[str]]) -> None:
    allowed = frozenset({("receiver.test", 8080)})

    assert send("http://receiver.test/", allowed=allowed).state is State.REFUSED


def test_of_several_addresses_the_first_that_answers_is_taken(
    resolver: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver["localhost"] = ["::1", "127.0.0.1"]
    connect = socket.create_connection

    def deaf_at_first(address: tuple[str, int], timeout: float) -> socket.socket:
        if address[0] == "::1":
            raise ConnectionRefusedError
        return connect(address, timeout)

    monkeypatch.setattr(socket, "create_connection", deaf_at_first)
    with receiving() as receiver:
        assert send(f"http://localhost:{receiver.server.server_port}/").state is State.DELIVERED


def test_a_name_that_cannot_be_found_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(*_: Any, **__: Any) -> Any:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", find)

    outcome = send("http://receiver.test/", allowed=frozenset({("receiver.test", None)}))

    assert (outcome.state, outcome.error) == (State.RETRYING, "receiver.test cannot be found: no such name")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (200, State.DELIVERED),
        (299, State.DELIVERED),
        (101, State.FAILED),
        (304, State.FAILED),
        (408, State.FAILED),
        (429, State.RETRYING),
        (500, State.RETRYING),
        (599, State.RETRYING),
    ],
)
def test_the_status_decides_about_a_retry(status: int, state: State) -> None:
    assert classify_status(status).state is state


def test_rules_follow_from_settings() -> None:
    settings = make_settings(
        callback_allow=("Hooks.example", "[2001:DB8::1]:80"),
        callback_retries="none",
        callback_timeout="0.5",
        sqs_endpoint="http://127.0.0.1:5000/",
        debug_headers=False,
    )

    allowed = frozenset({("hooks.example", None), ("2001:db8::1", 80)})
    assert policy_of(settings) == DeliveryPolicy(
        allowed, 0.5, (), "http://127.0.0.1:5000", shows_id=False, allows_loopback=True
    )
    assert policy_of(make_settings()).retries == (0.5, 2, 8)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    paths = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", *kind, *names, "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(command, check=True, capture_output=True)
    return paths


@pytest.mark.parametrize("is_trusted", [True, False])
def test_https_needs_a_valid_certificate(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, is_trusted: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with receiving() as receiver:
        receiver.server.socket = context.wrap_socket(
            receiver.server.socket, server_side=True, do_handshake_on_connect=False
        )

        outcome = send(f"https://localhost:{receiver.server.server_port}/")

    if is_trusted:
        assert outcome == DeliveryResult(State.DELIVERED, 200)
    else:
        assert (outcome.state, "CERTIFICATE_VERIFY_FAILED" in outcome.error) == (State.RETRYING, True)


def test_a_tls_handshake_that_never_ends_times_out() -> None:
    with listening() as listener:
        listener.settimeout(PATIENCE)
        met: list[socket.socket] = []
        meeting = threading.Thread(target=lambda: met.append(listener.accept()[0]))
        meeting.start()

        outcome = send(f"https://localhost:{listener.getsockname()[1]}/", timeout=0.1)

        meeting.join()
        met[0].close()
    assert outcome == DeliveryResult(State.RETRYING, None, "no answer within 0.1 seconds")


HERE = ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "my-app.localhost", "[::1]", "[::ffff:127.0.0.1]"]
UNSPECIFIED = ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]"]
DISGUISED = ["2130706433", "017700000001", "0x7f000001", "127.1", "0", "[::127.0.0.1]", "localhost.", "[::1%251]"]


@pytest.mark.parametrize("host", [*HERE, *UNSPECIFIED, *DISGUISED])
def test_a_server_that_listens_beyond_loopback_sends_nothing_there(host: str) -> None:
    with receiving() as receiver:
        outcome = send(f"http://{host}:{receiver.server.server_port}/", allows_loopback=False)

        assert receiver.is_left_alone()
    assert outcome.state is State.REFUSED
    assert "--callback-allow names" in outcome.error


@pytest.mark.parametrize("place", ["127.0.0.1", "localhost", "LOCALHOST", "my-app.localhost", "0.0.0.0"])
@pytest.mark.parametrize("has_port", [True, False])
def test_loopback_that_is_allowed_by_name_is_called_from_any_server(place: str, has_port: bool) -> None:
    with receiving() as receiver:
        port = receiver.server.server_port
        allowed = frozenset({(place.lower(), port if has_port else None)})

        outcome = send(f"http://{place}:{port}/", allows_loopback=False, allowed=allowed)

    assert outcome == DeliveryResult(State.DELIVERED, 200)


@pytest.mark.parametrize("found", ["127.0.0.1", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"])
def test_an_allowed_name_does_not_allow_its_loopback_address(resolver: dict[str, list[str]], found: str) -> None:
    resolver["hooks.example"] = [ELSEWHERE, found]
    rules = {"allowed": frozenset({("hooks.example", None)}), "allows_loopback": False}

    assert send("http://hooks.example/", **rules).error.startswith(f"hooks.example is {found}, which is loopback")


def test_a_name_that_is_allowed_and_the_loopback_address_behind_it_is_called(resolver: dict[str, list[str]]) -> None:
    resolver["hooks.example"] = ["127.0.0.1"]
    allowed = frozenset({("hooks.example", None), ("127.0.0.1", None)})
    with receiving() as receiver:
        port = receiver.server.server_port

        assert send(f"http://hooks.example:{port}/", allowed=allowed, allows_loopback=False).status == 200


@pytest.mark.parametrize(
    ("host", "allows"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.0.2.1", False),
        ("no-such-host.invalid", False),
    ],
)
def test_whether_loopback_is_allowed_follows_from_where_the_server_listens(host: str, allows: bool) -> None:
    assert policy_of(make_settings(host=host)).allows_loopback is allows


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_a_target_without_a_port_has_the_usual_one_of_its_scheme(
    monkeypatch: pytest.MonkeyPatch, scheme: str, port: int
) -> None:
    tried = []

    def refuse(address: tuple[str, int], timeout: float) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "create_connection", refuse)
    target = f"{scheme}://127.0.0.1/hook"

    assert send(target, allowed=frozenset({("127.0.0.1", port)}), allows_loopback=False).state is State.RETRYING
    assert send(target, allowed=frozenset({("127.0.0.1", port + 1)}), allows_loopback=False).state is State.REFUSED
    assert tried == [("127.0.0.1", port)]


def test_the_port_0_cannot_be_called() -> None:
    assert send("http://127.0.0.1:0/").error == "no URL that can be called"
