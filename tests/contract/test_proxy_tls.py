"""An upstream that speaks TLS: its certificate must be one that is trusted, and must name the upstream."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from proxies import Servers

from mockserver.cli import main
from mockserver.contract.upstream import Upstream, parse_upstream
from mockserver.errors import SettingsError

TOKEN = {"Authorization": "Bearer t"}
BODY = json.dumps([{"email": "a@example.com", "credits": 7}]).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(authority: trustme.CA) -> Iterator[str]:
    """The URL of a server whose certificate names 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def test_an_upstream_with_a_trusted_certificate_is_proxied(servers: Servers, secure: str, ca_file: str) -> None:
    proxy = servers.proxy(secure, ca_file=ca_file)

    answer = httpx.get(f"{proxy.url}/user", headers=TOKEN)

    assert (answer.status_code, answer.content) == (200, BODY)
    assert "x-mock-violations" not in answer.headers


def test_an_upstream_with_an_untrusted_certificate_is_a_502_and_gets_no_request(servers: Servers, secure: str) -> None:
    answer = httpx.get(f"{servers.proxy(secure).url}/user", headers=TOKEN)

    assert (answer.status_code, answer.headers["x-mock-source"]) == (502, "proxy")
    assert "certificate" in answer.json()["detail"].lower()


def test_a_certificate_for_another_name_is_a_502(servers: Servers, secure: str, ca_file: str) -> None:
    proxy = servers.proxy(secure.replace("127.0.0.1", "localhost"), ca_file=ca_file)

    assert httpx.get(f"{proxy.url}/user", headers=TOKEN).status_code == 502


def test_verify_takes_the_authority_too(
    secure: str, ca_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "t")
    flags = ("--only", "getUser", "--rate", "1000", "--upstream-ca", ca_file, "--format", "json")

    code = main(["verify", secure, *flags])

    report = json.loads(capsys.readouterr().out)
    met = next(each for each in report["coverage"]["coverage"] if each["key"] == "getUser")
    assert (code, met["responses"]["200"] > 0, report["failures"]) == (0, True, [])


def test_a_file_without_certificates_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.pem"
    path.write_text("no certificate")

    for each in (path, tmp_path / "none.pem"):
        with pytest.raises(SettingsError, match="--upstream-ca is"):
            Upstream(parse_upstream("https://127.0.0.1"), timeout=1, ca_file=str(each))
