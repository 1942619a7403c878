"""What a recorder writes of an exchange, without servers."""

import asyncio
import gzip
import json
import logging
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import yaml

from mockserver.contract.capture import Capture
from mockserver.contract.exchange import RequestCheck
from mockserver.contract.recording import recorder as module
from mockserver.contract.recording.recorder import Recorder, open_recorder
from mockserver.contract.upstream import UpstreamResponse, parse_upstream
from mockserver.errors import SettingsError
from mockserver.http import Request

URL = parse_upstream("https://api.example")
UNCHECKED = RequestCheck(None, {}, None, {}, None)
JSON = (b"Content-Type", b"application/json")


def add(
    recorder: Recorder,
    content: bytes | None,
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    path: str = "/a",
    seconds: float = 0.0,
    status: int = 200,
) -> None:
    capture = Capture(len(content or b""))
    if content is not None:
        capture.add(content)
        capture.has_ended = True
    else:
        capture.add(b"12345")
    answer = UpstreamResponse(status, headers, cast(Any, None), lambda: None)
    recorder.add(Request(method, path, "", {}), UNCHECKED, None, answer, capture, seconds)


def record(folder: Path, content: bytes | None, *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    """The recorded answer of one exchange."""

    async def run() -> None:
        add(recorder, content, *headers, **more)

    recorder = Recorder(folder, URL)
    asyncio.run(run())
    recorder.close()
    [entry] = yaml.safe_load((folder / "recording.yaml").read_text(encoding="utf-8"))["recorded"]
    assert entry["request"]["operation"] == f"{more.get('method', 'GET')} /a"
    [answer] = entry["answers"]
    return dict(answer)


@pytest.mark.parametrize(
    ("content", "headers", "answer"),
    [
        (b'{"a": 1}', [JSON], {"body": {"a": 1}}),
        (b'{"a": 1}', [(b"content-type", b"Application/JSON; charset=UTF-8")], {"body": {"a": 1}}),
        (b'{"a": 1}', [(b"content-type", b"application/problem+json")],
         {"body": {"a": 1}, "media_type": "application/problem+json"}),
        (b'{"a": 1}', [(b"content-type", b"application/json; charset=ascii")],
         {"body": {"a": 1}, "media_type": "application/json; charset=ascii"}),
        (b"{a}", [JSON], {"text": "{a}"}),
        (b"hello", [(b"content-type", b"text/plain")], {"text": "hello", "media_type": "text/plain"}),
        (b"hello", [], {"text": "hello"}),
        (b"", [JSON], {}),
        (b"", [], {}),
        (None, [JSON], {"note": "The body of 5 bytes was not recorded."}),
        (gzip.compress(b'{"a": 1}', mtime=0), [JSON, (b"content-encoding", b"gzip")], {"body": {"a": 1}}),
        (b"12345678", [JSON, (b"content-encoding", b"br")], {"note": "The body of 8 bytes was not recorded."}),
        (b"1", [JSON, (b"X-Name", b"gr\xfcn"), (b"Date", b"now"), (b"X-Home", b"https://api.example/a")],
         {"body": 1, "headers": {"x-name": "gr\u00fcn", "x-home": "http://127.0.0.1/a"}}),
    ],
)  # fmt: skip
def test_an_answer_is_recorded_by_its_media_type(
    tmp_path: Path, content: bytes | None, headers: list[tuple[bytes, bytes]], answer: dict[str, Any]
) -> None:
    found = record(tmp_path, content, *headers)

    home = found.get("headers", {}).pop("x-home", None)
    answer.get("headers", {}).pop("x-home", None)
    assert found == {"status": 200, "seconds": 0.0, **answer}
    assert home is None or (home.endswith("/a") and "api.example" not in home)


def test_times_are_recorded_to_the_millisecond(tmp_path: Path) -> None:
    assert record(tmp_path, b"1", JSON, seconds=0.12345)["seconds"] == 0.123


@pytest.mark.parametrize(
    ("content", "media_type", "file"),
    [
        (b"[" + b"1," * 16_382 + b"12]", "application/json", ""),
        (b"[" + b"1," * 16_382 + b"123]", "application/json", "0001.json"),
        (b"x" * 32_768, "text/plain", ""),
        (b"x" * 32_769, "text/plain", "0001.txt"),
        (b"a\x00b", "text/html; charset=utf-8", "0001.html"),
        (b"\xff", "application/octet-stream", "0001.bin"),
        (b"\xff", "application/zip", "0001.zip"),
        (b"\xff", "text/csv", "0001.csv"),
        (b"\xff", "application/xml", "0001.xml"),
        (b"\xff", "text/event-stream", "0001.txt"),
        (b"\xff", "application/jsonl", "0001.jsonl"),
        (b"\xff", "application/x-ndjson", "0001.jsonl"),
        (b"\xff", "", "0001.bin"),
    ],
)
def test_large_and_binary_bodies_stand_in_files(tmp_path: Path, content: bytes, media_type: str, file: str) -> None:
    answer = record(tmp_path, content, (b"content-type", media_type.encode()))

    assert answer.get("file", "") == (f"bodies/{file}" if file else "")
    if file:
        assert (tmp_path / "bodies" / file).read_bytes() == content
        assert not answer.keys() & {"body", "text"}


def test_each_file_has_a_number_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "0002.bin").write_bytes(b"of an earlier session")
    recorder = Recorder(tmp_path, URL)

    files = [recorder._in_file(b"x", "") for _ in range(3)]

    recorder.close()
    assert files == [{"file": f"bodies/{number}.bin"} for number in ("0001", "0003", "0004")]


def test_the_bounds_of_a_recording() -> None:
    assert module.BODY_BYTES == Recorder.body_bytes == 32 * 1024**2
    assert (module.INLINE_BYTES, module.SMALL_BYTES) == (32_768, 2048)
    assert (module.GROUP_SECONDS, module.GROUP_BYTES, module.WAITING_BYTES) == (0.1, 262_144, 67_108_864)


def lines_in(folder: Path) -> int:
    return (folder / "recording.jsonl").read_bytes().count(b"\n")


@pytest.mark.parametrize(("size", "waits"), [(10, True), (11, False)])
def test_exchanges_wait_until_they_are_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, waits: bool
) -> None:
    monkeypatch.setattr(module, "GROUP_BYTES", 10)
    monkeypatch.setattr(module, "WAITING_BYTES", 0)  # so that a group is written before the call returns
    recorder = Recorder(tmp_path, URL)

    async def run() -> int:
        add(recorder, b"x" * (size - 5))
        add(recorder, b"y" * 5)
        return lines_in(tmp_path)

    assert asyncio.run(run()) == (0 if waits else 2)
    recorder.close()


def test_exchanges_that_wait_are_written_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_SECONDS", 0)
    monkeypatch.setattr(module, "WAITING_BYTES", -1)
    recorder = Recorder(tmp_path, URL)

    async def run() -> list[int]:
        found = []
        for _ in range(2):
            add(recorder, b"x")
            found.append(lines_in(tmp_path))
            await asyncio.sleep(0.001)
            found.append(lines_in(tmp_path))
        return found

    assert asyncio.run(run()) == [0, 1, 1, 2]
    recorder.close()


def test_the_end_of_a_recording_is_logged_with_its_requests(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record(tmp_path, b"1", JSON)

    assert [each.message for each in caplog.records] == [f"1 request recorded in {tmp_path / 'recording.yaml'}"]
    assert not (tmp_path / "recording.jsonl").exists()


def test_an_exchange_that_cannot_be_recorded_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(tmp_path, URL)
    monkeypatch.setattr(recorder._redactor, "headers", lambda _: 1 / 0)

    async def run() -> None:
        add(recorder, b"x")

    asyncio.run(run())
    recorder.close()

    assert [(each.levelno, each.message) for each in caplog.records] == [
        (logging.ERROR, "an exchange could not be recorded"),
        (logging.WARNING, f"0 requests recorded in {tmp_path / 'recording.yaml'}"),
    ]


@pytest.mark.parametrize(
    ("method", "is_safe"),
    [("GET", True), ("HEAD", True), ("OPTIONS", True), ("POST", False), ("PUT", False), ("DELETE", False)],
)
def test_methods_that_only_read_begin_no_job(tmp_path: Path, method: str, is_safe: bool) -> None:
    recorder = Recorder(tmp_path, URL)

    async def run() -> None:
        add(recorder, b'{"id": "batch_8f3kd93kd02k"}', JSON, method=method)

    asyncio.run(run())
    recorder._write_group()
    recorder._thread.shutdown(wait=True)
    [line] = (tmp_path / "recording.jsonl").read_bytes().splitlines()

    found = json.loads(line)
    assert found["is_safe"] is is_safe
    assert len(found["told"]) == 1
    recorder.close()


def test_a_later_session_has_other_aliases_than_the_known_entries(tmp_path: Path) -> None:
    entry = {"request": {"operation": "GET /a"}, "answers": [{"status": 200, "body": {}}]}

    recorder = Recorder(tmp_path, URL, known=[entry, entry])

    assert recorder.replays
    assert recorder._aliases.count == 2000
    recorder.close()
    assert len(yaml.safe_load((tmp_path / "recording.yaml").read_text(encoding="utf-8"))["recorded"]) == 2


@pytest.mark.parametrize(
    ("mode", "has_one", "opens"),
    [
        ("once", False, True),
        ("once", True, False),
        ("none", True, False),
        ("all", False, True),
        ("all", True, True),
        ("new_episodes", False, True),
        ("new_episodes", True, True),
    ],
)
def test_a_folder_is_opened_by_its_mode(tmp_path: Path, mode: str, has_one: bool, opens: bool) -> None:
    entry = {"request": {"operation": "GET /a"}, "answers": [{"status": 200, "body": {}}]}
    if has_one:
        (tmp_path / "recording.yaml").write_bytes(orjson.dumps({"recorded": [entry]}))

    recorder = open_recorder(tmp_path, mode, URL, ())

    assert (recorder is not None) is opens
    if recorder is not None:
        assert recorder.replays is (mode == "new_episodes" and has_one)
        recorder.close()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")

    with pytest.raises(SettingsError, match=r"--record is '.*file/in', which cannot be written: Not a directory"):
        Recorder(file / "in", URL)
