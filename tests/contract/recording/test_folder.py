"""What a killed proxy has left is written as a fixture file by the next one."""

from pathlib import Path

import orjson
import yaml

from mockserver.contract.recording.episodes import Episode
from mockserver.contract.recording.folder import RECORDING, UNFINISHED, finish_recording, read_episodes

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
