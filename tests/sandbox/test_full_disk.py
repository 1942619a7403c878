"""A full disk: the request is refused in the API's own form, nothing has changed, and it can be repeated."""

import errno
import gc
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from batch_client import BatchClient, chats, counts_of
from builders import make_client, value_of
from starlette.testclient import TestClient

from mockserver.sandbox.blobs import blob_of, content_of
from mockserver.stores.codec import Codec

CONTENT = chats(4000)
"""Whose output is larger than what is kept in memory."""
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


class Disk:
    """Counts the writes to temporary files, and fails from one of them on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes = 0
        self.fails_at = 0
        """The number of the first write that fails; 0 for none."""
        self.error = errno.ENOSPC
        self._write = os.write
        monkeypatch.setattr("mockserver.sandbox.blobs.os.write", self.write)

    def write(self, descriptor: int, content: Any) -> int:
        self.writes += 1
        if self.fails_at and self.writes >= self.fails_at:
            raise OSError(self.error, os.strerror(self.error))
        return self._write(descriptor, content)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def state_of(desk: BatchClient) -> Any:
    """All that a failed request might have changed."""
    sandbox, codec = desk.sandbox, Codec({}, write=content_of, read=blob_of)
    names = ("agilecloud.jobs", "agilecloud.files", "agilecloud.usage", "agilecloud.usage_ends", "seen")
    return [[(key, codec.encode(each)) for key, each in sandbox.collection(name, object).items()] for name in names]


def open_files() -> int:
    """The number of open files without a name; those of earlier tests' stores have one."""
    links = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the folder itself
            links.append(str(each.readlink()))
    return sum(link.endswith("(deleted)") for link in links)


READS = {
    "retrieve": ("GET", "/v1/batches/{id}"),
    "list": ("GET", "/v1/batches"),
    "list files": ("GET", "/v1/files"),
    "cancel": ("POST", "/v1/batches/{id}/cancel"),
}


@pytest.mark.parametrize(("method", "path"), READS.values(), ids=READS.keys())
@pytest.mark.parametrize("changes", [{}, {"strict": True}, {"agilecloud_profile": "openai"}])
def test_a_batch_whose_output_cannot_be_written_waits_for_room(
    disk: Disk, method: str, path: str, changes: dict[str, Any]
) -> None:
    BatchClient(**changes).run(CONTENT)
    needed, disk.writes = disk.writes, 0
    assert needed > 1
    gc.collect()  # the files of the first client
    desk = BatchClient(**changes)
    batch = desk.create(CONTENT)
    before, files = state_of(desk), open_files()

    for number in range(1, needed + 1):
        disk.fails_at, disk.writes, disk.error = number, 0, ERRORS[number % len(ERRORS)]
        response = desk.ask(method, path.format(id=batch["id"]))
        error = value_of(response)["error"]
        assert (response.status, error["type"], error["code"]) == (507, "server_error", "insufficient_storage")
        assert os.strerror(disk.error) in error["message"]
        assert tempfile.gettempdir() in error["message"]
        assert (state_of(desk), open_files()) == (before, files)

    disk.fails_at = 0
    assert counts_of(desk.read(batch["id"])) == (4000, 4000, 0)
    assert value_of(desk.ask("GET", "/v1/files"))["data"][0]["purpose"] == "batch_output"


def test_a_read_that_fails_is_no_poll(disk: Disk) -> None:
    desk = BatchClient(progression="polls:2")
    id_ = desk.create(CONTENT)["id"]
    disk.fails_at = 1

    assert [desk.ask("GET", f"/v1/batches/{id_}").status for _ in range(5)] == [507] * 5
    disk.fails_at = 0

    assert [desk.read(id_)["status"] for _ in range(2)] == ["in_progress", "completed"]


def test_a_missing_folder_for_temporary_files_is_named(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    desk = BatchClient()
    id_ = desk.create(CONTENT)["id"]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

    status, error = desk.refusal("GET", f"/v1/batches/{id_}")

    assert status == 507
    assert str(tmp_path / "gone") in error["message"]
    assert "TMPDIR" in error["message"]


@pytest.fixture
def client() -> Iterator[TestClient]:
    with make_client() as client:
        yield client


def test_an_import_that_cannot_be_written_changes_nothing(client: TestClient, disk: Disk) -> None:
    file = {"file": ("a.jsonl", CONTENT * 3)}
    assert client.post("/v1/files", data={"purpose": "batch"}, files=file).status_code == 200
    document = client.get("/__admin/export").content
    there = {"X-Mock-Sandbox": "other"}
    disk.fails_at = disk.writes + 1

    response = client.post("/__admin/import", content=document, headers=there)

    assert (response.status_code, "No space left" in response.json()["detail"]) == (507, True)
    assert client.get("/v1/files", headers=there).json()["data"] == []
    disk.fails_at = 0
    assert client.post("/__admin/import", content=document, headers=there).status_code == 200
    assert len(client.get("/v1/files", headers=there).json()["data"]) == 1
