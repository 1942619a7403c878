"""Forms with files: read while they come in, kept outside of memory, and refused without harm."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders import make_engine, make_settings
from hypothesis import given
from hypothesis import strategies as st
from wire import Wire

from mockserver.http import Request, Response, Upload
from mockserver.sandbox.blobs import CHUNK_BYTES, MEMORY_BYTES
from mockserver.server.process import ThreadedServer
from mockserver.web import gateway as web_gateway
from mockserver.web import uploads
from mockserver.web.body_timeout import BodyTimeout
from mockserver.web.forms import MAX_FIELD_BYTES, MAX_FIELDS, MAX_FILES
from mockserver.web.gateway import Gateway
from mockserver.web.uploads import ReceivedForm, read_form

MEGABYTE = 1024 * 1024
ROOT = Path(__file__).parents[2]
TYPE = "multipart/form-data; boundary=edge"
TOKEN = {"Authorization": "Bearer test"}
STATUS = Path("/proc/self/status")


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join([*parts, b"--edge--\r\n"])


GOOD = form(part("purpose", b"user_data"), part("file", b"tides", "tides.txt"))


class UploadWire(Wire):
    """An upload, in pieces of any size."""

    patience = 20.0

    def __init__(self, body: bytes, *, piece: int = 65_536, ends: bool = True, **headers: str) -> None:
        pieces = [body[at : at + piece] for at in range(0, len(body), piece)] or [b""]
        messages = (
            {"type": "http.request", "body": each, "more_body": not ends or n < len(pieces)}
            for n, each in enumerate(pieces, 1)
        )
        super().__init__(*messages, path="/v1/files", **{"content_type": TYPE, **headers})

    def read(self, limit: int = 64 * MEGABYTE) -> ReceivedForm:
        headers = {name.decode(): value.decode() for name, value in self.scope["headers"]}
        return asyncio.run(asyncio.wait_for(read_form(headers["content-type"], self.receive, limit), timeout=20))


class Listener:
    """Stands in for an engine's `handle`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def handle(self, request: Request) -> Response:
        self.asked.append(request)
        return Response(204)


def make_gateway() -> Gateway:
    return Gateway(make_engine(), make_settings())


def upload_of(fields: Any, name: str = "file") -> Upload:
    upload = fields[name]
    assert isinstance(upload, Upload)
    return upload


@pytest.mark.parametrize("gathered", [1, 10, MEGABYTE])
@pytest.mark.parametrize("piece", [1, 7, 65_536])
def test_a_form_is_read_however_it_is_cut_into_pieces(
    monkeypatch: pytest.MonkeyPatch, piece: int, gathered: int
) -> None:
    monkeypatch.setattr(uploads, "GATHERED_BYTES", gathered)

    fields = UploadWire(GOOD, piece=piece).read().fields

    assert fields is not None
    assert fields["purpose"] == "user_data"
    upload = upload_of(fields)
    assert (upload.filename, upload.media_type, upload.blob.read()) == ("tides.txt", "", b"tides")


def test_a_large_file_is_read_as_it_was_sent() -> None:
    content = os.urandom(MEMORY_BYTES * 2 + 5)

    fields = UploadWire(form(part("file", content, "noise"))).read().fields

    assert upload_of(fields).blob.read() == content


def test_of_a_repeated_field_the_last_counts() -> None:
    fields = (
        UploadWire(form(part("a", b"1"), part("file", b"1", "1"), part("a", b"2"), part("file", b"2", "2")))
        .read()
        .fields
    )

    assert fields is not None
    assert (fields["a"], upload_of(fields).blob.read()) == ("2", b"2")


def test_field_names_and_texts_are_read_unchanged() -> None:
    fields = (
        UploadWire(form(part("a[b]", "Zoë 東京".encode()), part("f", b"", "東京.jsonl"), part("b", b""))).read().fields
    )

    assert fields is not None
    assert (fields["a[b]"], fields["b"], upload_of(fields, "f").filename) == ("Zoë 東京", "", "東京.jsonl")


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-16", "idna", "latin-1", "nowhere", "rot13"])
def test_a_form_is_utf_8_with_any_charset_parameter(charset: str) -> None:
    fields = UploadWire(form(part("a", "\\u00e9 é".encode())), content_type=f"{TYPE}; charset={charset}").read().fields

    assert fields == {"a": "\\u00e9 é"}


def headers(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("--edge", *lines, "")).encode() + b"x\r\n--edge--"


BARE = "its lines end with LF alone; wanted CRLF"
NAMED = 'Content-Disposition: form-data; name="a"'


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the boundary '--edge' stands nowhere in the body"),
        (b"tides", "the boundary '--edge' stands nowhere in the body"),
        (GOOD.replace(b"--edge", b"--hedge"), "the boundary '--edge' stands nowhere in the body"),
        (GOOD[:-4], "it has no last boundary ('--edge--')"),
        (GOOD[: GOOD.index(b"tides") + 2], "it has no last boundary ('--edge--')"),
        (GOOD.replace(b"\r\n", b"\n"), BARE),
        (GOOD.replace(b"\r\n--edge", b"\n--edge"), BARE),
        (GOOD.replace(b"\r\n\r\n", b"\n\n"), BARE),
        (GOOD.replace(b'name="file"; ', b""), "the Content-Disposition header of a part has no name"),
        (headers("Content-Type: text/plain"), "a part has no Content-Disposition header"),
        (headers(NAMED, "Content-Transfer-Encoding: BASE64"), "the part 'a' is sent as base64, which is not decoded"),
        (headers(NAMED + "; filename*=punycode''x"), "the filename* of a part cannot be decoded; wanted UTF-8''"),
        (headers(NAMED + "; filename*=UTF-8''%ff"), "the filename* of a part is not UTF-8"),
        (headers(NAMED + "; filename*=x"), "the filename* of a part cannot be decoded; wanted UTF-8''"),
        (form(part("a", b"\xe9")), "the field 'a' is not UTF-8"),
        (form(part("a", b"").replace(b'"a"', b'"\xe9"')), "the name of a part is not UTF-8"),
        (form(part("f", b"", "x").replace(b'"x"', b'"\xe9"')), "the filename of a part is not UTF-8"),
        (form(part("purpose", b"x" * (MAX_FIELD_BYTES + 1))), "the field 'purpose' is longer than 262144 bytes"),
        (form(*(part("a", b"") for _ in range(MAX_FIELDS + 1))), "it has more than 100 fields"),
        (form(*(part("a", b"", "a") for _ in range(MAX_FILES + 1))), "it has more than 10 files"),
        (b"--edge\r\n" + b"A: b\r\n" * 50, ""),
        (GOOD.replace(b"Content-Disposition", b"Content Disposition"), ""),
        (form(part("a" * 100_000, b"")), ""),
        (GOOD[:-4].replace(b"--edge", b"--edge" + b" " * 1_000_000, 1), "it has too many bytes between its parts"),
        (form(part("a", b"\r\n--edge!" * 3000, "a")), "its boundary stands in it too often"),
    ],
)
def test_the_error_of_a_form_is_sent_after_it_is_received(body: bytes, problem: str) -> None:
    wire = UploadWire(body, piece=1000)

    read = wire.read()

    assert read.fields is None
    assert read.problem.startswith(problem)
    assert 0 < len(read.problem) <= 200
    assert wire.messages == []


@pytest.mark.parametrize(
    ("content_type", "problem"),
    [
        ("multipart/form-data", "its Content-Type has no boundary parameter"),
        ("multipart/form-data; charset=utf-8", "its Content-Type has no boundary parameter"),
        ("multipart/form-data; boundary=", "its boundary has 0 characters; wanted 1 to 256"),
        (f"multipart/form-data; boundary={'x' * 300}", "its boundary has 300 characters; wanted 1 to 256"),
        (f'multipart/form-data; a="{";" * 60_000}', "its Content-Type is longer than 1024 characters"),
    ],
)
def test_a_form_without_a_usable_boundary_says_so(content_type: str, problem: str) -> None:
    assert UploadWire(GOOD, content_type=content_type).read() == ReceivedForm(None, problem)


@pytest.mark.parametrize("piece", [1, 65_536])
@pytest.mark.parametrize(
    "body",
    [
        b"This is a form.\r\n" + GOOD,
        b"- --edg\r\n-- \r\n--edg\r\n" + GOOD,
        b"\r\n" + GOOD,
        b"x" * 100_000 + b"\r\n" + GOOD,
        GOOD + b"an epilogue\r\n--edge\r\n--edge--",
        GOOD[:-2],
        GOOD.replace(b"--edge\r\n", b"--edge \t\r\n"),
        GOOD.replace(b"Content-Disposition", b"content-DISPOSITION"),
    ],
)
def test_a_form_may_have_a_preamble_an_epilogue_and_padding(body: bytes, piece: int) -> None:
    if piece == 1 and len(body) > 10_000:
        piece = 999

    fields = UploadWire(body, piece=piece).read().fields

    assert fields is not None
    assert (fields["purpose"], upload_of(fields).blob.read()) == ("user_data", b"tides")


@pytest.mark.parametrize(
    ("parameters", "filename"),
    [
        ("filename*=UTF-8''%e6%9d%b1%e4%ba%ac.jsonl", "東京.jsonl"),
        ("filename*=utf-8'en'tides.jsonl", "tides.jsonl"),
        ("filename*=ISO-8859-1''Zo%EB.txt", "Zoë.txt"),
        ("filename*=UTF-8''other; filename=tides.txt", "tides.txt"),
        ("filename=\"a; filename*=UTF-8''b\"", "a; filename*=UTF-8''b"),
        ('filename="Zoë \\"x\\".txt"', 'Zoë "x".txt'),
    ],
)
def test_a_files_name_is_read_as_rfc_5987_writes_it(parameters: str, filename: str) -> None:
    fields = UploadWire(headers(f"{NAMED}; {parameters}")).read().fields

    assert upload_of(fields, "a").filename == filename


@given(st.binary(max_size=300), st.integers(0, len(GOOD)), st.sampled_from([TYPE, TYPE + "; charset=punycode"]))
def test_any_body_is_a_form_or_unreadable(noise: bytes, at: int, content_type: str) -> None:
    read = UploadWire(GOOD[:at] + noise + GOOD[at:], piece=50, content_type=content_type).read()

    assert bool(read.problem) == (read.fields is None)
    assert all(isinstance(each, str | Upload) for each in (read.fields or {}).values())


def test_a_form_that_cannot_be_read_is_refused_as_the_document_says() -> None:
    wire = UploadWire(GOOD[:-4]).through(make_gateway())

    assert wire.status == 400
    (violation,) = json.loads(wire.headers[b"x-mock-violations"])
    assert (violation["location"], violation["code"]) == (["body"], "invalid_multipart")
    message = "The form could not be read: it has no last boundary ('--edge--')."
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_multipart"}
    assert wire.value["error"] == error


def test_a_form_is_answered_and_the_journal_keeps_no_file() -> None:
    gateway = make_gateway()

    wire = UploadWire(GOOD).through(gateway)

    assert (wire.status, wire.value["object"]) == (200, "file")
    (noted,) = gateway._engine.sandboxes.open("test").journal.find(lambda _: True)
    assert (noted.operation, noted.request.form) == ("createFile", None)


def test_an_answer_without_code_does_not_depend_on_when_a_form_came() -> None:
    gateway = make_gateway()
    UploadWire(GOOD.replace(b"tides", b"other")).through(gateway)

    first, again = (UploadWire(GOOD).through(each).value for each in (gateway, make_gateway()))

    assert first == again


def test_a_form_is_answered_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = make_gateway()
    threads: list[threading.Thread] = []

    def handle(request: Request) -> Response:
        threads.append(threading.current_thread())
        return Response(204)

    monkeypatch.setattr(gateway._engine, "handle", handle)

    UploadWire(GOOD).through(gateway)

    assert threads != [threading.current_thread()]
    assert len(threads) == 1


def test_a_form_that_is_stated_too_large_is_413_before_any_of_it_is_read() -> None:
    wire = UploadWire(GOOD, content_length=str(web_gateway.MAX_UPLOAD + 1))
    wire.through(make_gateway())

    assert wire.status == 413
    assert len(wire.messages) == 1


def test_a_form_that_never_ends_is_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_gateway, "MAX_UPLOAD", 3000)
    wire = UploadWire(part("file", b"x" * 10_000, "x"), piece=1000, transfer_encoding="chunked")

    wire.through(make_gateway())

    assert wire.status == 413
    assert wire.headers[b"connection"] == b"close"
    assert len(wire.messages) > 5, "it was read further than needed"


def test_an_unreadable_form_that_never_ends_is_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_gateway, "MAX_UPLOAD", 3000)

    assert UploadWire(b"x" * 10_000, piece=1000).through(make_gateway()).status == 413


def test_a_form_that_stalls_is_408() -> None:
    gateway = make_gateway()
    gateway._upload_timeout = BodyTimeout(0.01)

    assert UploadWire(GOOD[:90], ends=False).through(gateway).status == 408


def test_a_client_that_disconnects_within_its_form_is_not_answered() -> None:
    gateway = make_gateway()
    wire = UploadWire(part("file", b"x" * (2 * MEMORY_BYTES), "x"), ends=False)
    wire.messages.append({"type": "http.disconnect"})

    wire.through(gateway)

    assert wire.sent == []
    assert gateway._engine.sandboxes.open("test").journal.seen == 0


def test_a_full_disk_is_507(monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mockserver.sandbox.blobs.BlobWriter.write", fill)

    wire = UploadWire(GOOD).through(make_gateway())

    assert wire.status == 507
    error = wire.value["error"]
    assert "No space left on device" in error.pop("message")
    assert error == {"type": "server_error", "param": None, "code": "insufficient_storage"}
    assert wire.messages == []


# Over a socket


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer(make_settings()) as running:
        yield running


@pytest.mark.parametrize("size", [3 * MEGABYTE, 60 * MEGABYTE])
def test_a_handler_gets_the_uploaded_bytes(
    server: ThreadedServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int
) -> None:
    listener = Listener()
    monkeypatch.setattr(server.engine, "handle", listener.handle)
    path = tmp_path / "large.jsonl"
    path.write_bytes(os.urandom(MEGABYTE) * (size // MEGABYTE - 1) + b"\r\n--" * (MEGABYTE // 4))

    with path.open("rb") as file:
        answer = httpx.post(
            f"{server.url}/v1/files",
            files={"file": file},
            data={"purpose": "batch"},
            timeout=30,
            trust_env=False,
            headers=TOKEN,
        )

    assert answer.status_code == 204
    (request,) = listener.asked
    assert request.form is not None
    assert (request.body, request.form["purpose"]) == (b"", "batch")
    upload = upload_of(request.form)
    assert (upload.filename, upload.blob.size) == ("large.jsonl", size)
    with path.open("rb") as file:
        assert all(chunk == file.read(CHUNK_BYTES) for chunk in upload.blob.chunks())


def test_a_connection_stays_open_after_an_unreadable_form(server: ThreadedServer) -> None:
    headers = {"Authorization": "Bearer test", "Content-Type": TYPE}
    with httpx.Client(base_url=server.url, headers=headers, timeout=10, trust_env=False) as client:
        statuses = [client.post("/v1/files", content=each).status_code for each in (b"x" * MEGABYTE, GOOD)]

    assert statuses == [400, 200]


@pytest.mark.skipif(not STATUS.exists(), reason="a process's memory is measured as Linux shows it")
def test_a_file_of_200_megabytes_does_not_go_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(200 * MEGABYTE)
    command = [sys.executable, "-m", "mockserver", "serve", "--port", "0"]

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            send_file(url, Path(__file__))  # so that all is imported
            before = peak_memory(process.pid)
            send_file(url, path)
            grown = peak_memory(process.pid) - before
        finally:
            process.terminate()

    assert grown < 16 * MEGABYTE


def send_file(url: str, path: Path) -> None:
    with path.open("rb") as file:
        headers = {"Authorization": "Bearer test"}
        answer = httpx.post(
            f"{url}/v1/files",
            files={"file": file},
            data={"purpose": "user_data"},
            headers=headers,
            timeout=60,
            trust_env=False,
        )
    assert answer.status_code == 200, answer.text


def peak_memory(pid: int) -> int:
    """The most bytes that the process ever had in memory at once."""
    status = (STATUS.parents[1] / str(pid) / "status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
