"""What a killed proxy has left is written as a fixture file by the next one."""

from pathlib import Path

import orjson
import pytest
import yaml

from mockserver.contract.recording.episodes import Episode
from mockserver.contract.recording.folder import (
    RECORDING,
    UNFINISHED,
    finish_recording,
    read_episodes,
    remove_recording,
    write_recording,
)

UPSTREAM = "https://api.example"


def episode(path: str, at: float = 0.0) -> Episode:
    request = {"operation": f"GET {path}"}
    return Episode(request, True, {"status": 200, "media_type": "application/json", "body": {}}, at, [], [])


def leave(folder: Path, *paths: str, end: bytes = b"") -> None:
    lines = [orjson.dumps(episode(path)._asdict()) + b"\n" for path in paths]
    (folder / UNFINISHED).write_bytes(b"".join(lines) + end)


def recorded_paths(folder: Path) -> list[str]:
    entries = yaml.safe_load((folder / RECORDING).read_text(encoding="utf-8"))["recorded"]
    return [each["request"]["operation"].removeprefix("GET ") for each in entries]


def test_exchanges_of_a_killed_proxy_are_added_to_those_of_earlier_sessions(tmp_path: Path) -> None:
    leave(tmp_path, "/a")
    finish_recording(tmp_path, UPSTREAM)
    leave(tmp_path, "/b", "/c")

    finish_recording(tmp_path, UPSTREAM)

    assert recorded_paths(tmp_path) == ["/a", "/b", "/c"]
    assert not (tmp_path / UNFINISHED).exists()


def test_an_exchange_of_which_only_a_part_was_written_is_left_out(tmp_path: Path) -> None:
    leave(tmp_path, "/a", end=b'{"request": {"oper')

    assert [each.request["operation"] for each in read_episodes((tmp_path / UNFINISHED).read_bytes())] == ["GET /a"]


def test_nothing_is_written_where_nothing_was_recorded(tmp_path: Path) -> None:
    finish_recording(tmp_path, UPSTREAM)
    leave(tmp_path, end=b'{"request": {"oper')
    finish_recording(tmp_path, UPSTREAM)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [b"5\n", b"[]\n", b'{"request": {}}\n', b"\n"])
def test_exchanges_up_to_a_line_of_something_else_are_read(tmp_path: Path, end: bytes) -> None:
    leave(tmp_path, "/a", end=end + orjson.dumps(episode("/b")._asdict()) + b"\n")

    assert [each.request["operation"] for each in read_episodes((tmp_path / UNFINISHED).read_bytes())] == ["GET /a"]


def test_a_recording_says_what_it_is_without_a_password(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()

    assert write_recording(folder, "https://ada:hunter2@api.example", (), [episode("/a"), episode("/b")]) == 2

    assert (folder / RECORDING).read_text(encoding="utf-8").splitlines()[:3] == [
        "# Recorded by `mockserver proxy` from https://[redacted]@api.example. "
        "Replay it with: mockserver serve --fixtures own",
        "# Credentials and e-mail addresses are redacted, and ids are replaced by made-up ones. "
        "Edit it as you like: a part of a",
        "# request that is left out matches anything, and `*` matches any value.",
    ]
    assert [path.name for path in folder.iterdir()] == [RECORDING]


def test_a_recording_is_removed_with_its_bodies_and_without_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / "bodies").mkdir(parents=True)
    for path in (folder / "bodies" / "0001.json", folder / "bodies" / "0002.json", tmp_path / "other.json"):
        path.write_bytes(b"{}")
    steps: list[dict[str, object]] = [
        {"status": 200, "file": "bodies/0001.json"},
        {"status": 200, "file": "bodies/gone.json"},
        {"status": 200, "body": {}},
    ]
    timeline = [{"after": n, **each} for n, each in enumerate(steps)]
    known = [
        {"request": {"operation": "GET /a"}, "answers": steps},
        {"request": {"operation": "GET /b"}, "job": "x", "timeline": timeline},
    ]
    (folder / RECORDING).write_text(yaml.safe_dump({"recorded": known}), encoding="utf-8")

    remove_recording(folder)

    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")) == [
        "other.json", "own/bodies/0002.json"
    ]  # fmt: skip
    assert not (folder / RECORDING).exists()


@pytest.mark.parametrize("text", ["recorded: 5", "recorded: [", "unknown: []"])
def test_a_recording_that_cannot_be_read_is_removed(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORDING).write_text(text, encoding="utf-8")

    remove_recording(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_body_outside_the_folder_is_not_removed(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (tmp_path / "other.json").write_bytes(b"{}")
    known = [{"request": {"operation": "GET /a"}, "answers": [{"status": 200, "file": "../other.json"}]}]
    (folder / RECORDING).write_text(yaml.safe_dump({"recorded": known}), encoding="utf-8")

    remove_recording(folder)

    assert (tmp_path / "other.json").exists()
