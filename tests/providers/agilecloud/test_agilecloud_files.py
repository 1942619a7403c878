"""AgileCloud's files: kept, listed page by page, downloaded in part, and gone in time."""

from typing import Any

import pytest
from handler_client import HandlerClient

from mockserver.api.call import Call
from mockserver.errors import Reason, Refusal
from mockserver.http import Request, Response, Upload
from mockserver.providers.agilecloud import files
from mockserver.providers.agilecloud.files import files_of
from mockserver.redaction import account_key
from mockserver.sandbox.blobs import CHUNK_BYTES, Blob, BlobParts

DAY = 24 * 3600
LINES = b'{"custom_id": "a"}\n{"custom_id": "b"}\n'
OF_200_MB = 200 * 1024 * 1024


class FileHandlerClient(HandlerClient):
    """A sandbox in which files are stored."""

    def store(self, content: bytes = LINES, filename: str = "rivers.jsonl", purpose: str = "batch", **more: Any) -> Any:
        """The new file, as its client sees it."""
        token = more.pop("token", "ann")
        upload = Upload(filename, "", Blob.in_memory(content))
        return self.value(files.create_file, {"file": upload, "purpose": purpose, **more}, token=token)

    def ids(self, **wanted: Any) -> list[str]:
        return [each["id"] for each in self.value(files.list_files, **wanted)["data"]]

    def download(self, id: str, range: str | None = None) -> tuple[int, bytes, dict[str, str]]:
        wanted = {} if range is None else {"range": range}
        response = self.call(files.download_file, file_id=id, **wanted)
        assert not isinstance(response.body, bytes)
        return response.status, b"".join(response.body), dict(response.headers)

    def lookup(self, id: str, token: str = "ann") -> files.FileRecord | None:
        """What other handlers find under the id."""
        found: list[files.FileRecord | None] = []

        def look(call: Call) -> Response:
            found.append(files.find_file(call, id))
            return Response(204)

        self.call(look, token=token)
        return found[0]


@pytest.fixture
def desk() -> FileHandlerClient:
    return FileHandlerClient()


def not_found(id: str) -> tuple[Any, ...]:
    return Reason.NOT_FOUND, ("path", "id"), "", f"No such File object: {id}"


class Sized(Blob):
    """A blob that only says that it is large."""

    def chunks(self, start: int = 0, stop: int | None = None) -> BlobParts:
        return BlobParts(self, 0, 0)


def sized(size: int) -> Upload:
    blob = Sized.in_memory(b"")
    blob.size = size
    return Upload("large.jsonl", "", blob)


def test_a_file_is_shown_with_its_documented_fields(desk: FileHandlerClient) -> None:
    stored = desk.store()

    assert stored == {
        "id": stored["id"],
        "object": "file",
        "bytes": len(LINES),
        "created_at": 1001,
        "expires_at": 1001 + 30 * DAY,
        "filename": "rivers.jsonl",
        "purpose": "batch",
        "status": "processed",
        "status_details": None,
    }
    assert desk.value(files.retrieve_file, file_id=stored["id"]) == stored


def test_ids_look_like_openais_and_are_the_same_on_every_run() -> None:
    first, second = FileHandlerClient(), FileHandlerClient()
    second.store(b"{}")

    ids = [desk.store()["id"] for desk in (first, first, second, second)]

    assert ids[:2] == ids[2:]
    assert ids[0] != ids[1]
    assert all(id.startswith("file-") and len(bytes.fromhex(id[5:])) == 12 for id in ids)


@pytest.mark.parametrize("change", [{"content": b"{}"}, {"filename": "other.jsonl"}, {"purpose": "user_data"}])
def test_the_id_depends_on_all_that_was_uploaded(change: dict[str, Any]) -> None:
    assert FileHandlerClient().store()["id"] != FileHandlerClient().store(**change)["id"]


def test_a_file_for_a_batch_lasts_30_days_and_others_stay(desk: FileHandlerClient) -> None:
    assert desk.store()["expires_at"] == desk.now + 30 * DAY
    assert desk.store(purpose="user_data")["expires_at"] is None


@pytest.mark.parametrize("purpose", ["batch", "user_data"])
def test_a_file_expires_after_the_requested_time(desk: FileHandlerClient, purpose: str) -> None:
    life: dict[str, Any] = {"expires_after[anchor]": "created_at", "expires_after[seconds]": 3600}

    stored = desk.store(purpose=purpose, **life)

    assert stored["expires_at"] == stored["created_at"] + 3600


def test_an_expired_file_is_not_found_and_its_bytes_are_freed(desk: FileHandlerClient) -> None:
    stored = desk.store()
    desk.now = stored["expires_at"] - 2
    assert desk.lookup(stored["id"]) is not None

    assert desk.lookup(stored["id"]) is None
    assert desk.refusal(files.download_file, file_id=stored["id"]) == not_found(stored["id"])
    assert desk.ids() == []
    [record] = files_of(desk.sandbox).scan()
    assert record.blob.size == 0


def test_a_list_frees_the_bytes_of_expired_files(desk: FileHandlerClient) -> None:
    stored = desk.store()
    desk.now = stored["expires_at"]

    assert desk.ids() == []
    [record] = files_of(desk.sandbox).scan()
    assert record.blob.size == 0


@pytest.mark.parametrize("filename", ["rivers.json", "notes.txt", "a.jsonl.gz", "a.JSON", "x.y"])
def test_a_batch_file_with_another_extension_is_rejected_with_openais_message(
    desk: FileHandlerClient, filename: str
) -> None:
    body = {"file": Upload(filename, "", Blob.in_memory(LINES)), "purpose": "batch"}

    message = "Invalid file format for Batch API. Must be .jsonl"
    assert desk.refusal(files.create_file, body) == (Reason.INVALID, ("body",), "", message)
    assert desk.store(filename=filename, purpose="user_data")["filename"] == filename


@pytest.mark.parametrize("filename", ["upload", "jsonl", ".jsonl", "blob", "dir.d/upload", "a.b.jsonl", "upload."])
def test_a_file_for_a_batch_may_have_a_name_without_extension(desk: FileHandlerClient, filename: str) -> None:
    assert desk.store(filename=filename)["filename"] == filename


@pytest.mark.parametrize(
    "content",
    [
        '{"custom_id": "é"}\n'.encode("latin-1"),
        '{"custom_id": "a"}\n'.encode("utf-16"),
        LINES + b"\xed\xa0\x80",
        "é".encode()[:1],
        b"x" * (CHUNK_BYTES - 1) + "é".encode() + b"\xff",
    ],
)
def test_a_file_for_a_batch_that_is_not_utf_8_is_refused_at_upload(desk: FileHandlerClient, content: bytes) -> None:
    body = {"file": Upload("rivers.jsonl", "", Blob.in_memory(content)), "purpose": "batch"}

    message = "Invalid file for Batch API. Must be utf-8 encoded"
    assert desk.refusal(files.create_file, body) == (Reason.INVALID, ("body",), "", message)
    assert desk.store(content, purpose="user_data")["bytes"] == len(content)


def test_a_utf_8_character_may_cross_the_chunks_that_are_read(desk: FileHandlerClient) -> None:
    assert desk.store(b"x" * (CHUNK_BYTES - 1) + "é".encode())["bytes"] == CHUNK_BYTES + 1


@pytest.mark.parametrize(
    "field",
    [
        "expires_after",
        "expires_after[anchor",
        "expires_after.seconds",
        "expires_after_seconds",
        "expires_after[]",
        "expires_after[seconds][0]",
        "expires_after['seconds']",
        "expires_after[Seconds]",
        "EXPIRES_AFTER[seconds]",
        "expiresAfter",
        "expires-after[anchor]",
        "expires_after[days]",
    ],
)
def test_another_spelling_of_expires_after_is_refused(desk: FileHandlerClient, field: str) -> None:
    upload = Upload("rivers.jsonl", "", Blob.in_memory(LINES))
    life: dict[str, Any] = {"expires_after[anchor]": "created_at", "expires_after[seconds]": 3600}

    for more in ({}, life):
        body = {"file": upload, "purpose": "batch", field: "604800", **more}
        reason, location, code, message = desk.refusal(files.create_file, body)
        assert (reason, location, code) == (Reason.INVALID, ("body", field), "unknown_parameter")
        assert message.endswith("Send 'expires_after[anchor]' and 'expires_after[seconds]', each as a form field.")


@pytest.mark.parametrize("field", ["expires_at", "expires", "note", "expire_after"])
def test_other_fields_are_ignored(desk: FileHandlerClient, field: str) -> None:
    more: dict[str, Any] = {field: "604800"}

    assert desk.store(**more)["expires_at"] == desk.now + 30 * DAY


def test_the_case_of_a_name_does_not_matter(desk: FileHandlerClient) -> None:
    assert desk.store(filename="RIVERS.JSONL")["filename"] == "RIVERS.JSONL"


def test_an_empty_file_is_refused_for_a_batch_only(desk: FileHandlerClient) -> None:
    body = {"file": Upload("rivers.jsonl", "", Blob.in_memory(b"")), "purpose": "batch"}

    assert desk.refusal(files.create_file, body)[:3] == (Reason.INVALID, ("body", "file"), "empty_file")
    assert desk.store(b"", purpose="user_data")["bytes"] == 0


@pytest.mark.parametrize(("purpose", "size"), [("batch", OF_200_MB), ("user_data", 512 * 1024 * 1024)])
def test_a_file_that_is_too_large_is_rejected_with_openais_message(
    desk: FileHandlerClient, purpose: str, size: int
) -> None:
    fitting, too_large = sized(size), sized(size + 1)

    assert desk.value(files.create_file, {"file": fitting, "purpose": purpose})["bytes"] == size
    refusal = desk.refusal(files.create_file, {"file": too_large, "purpose": purpose})
    assert refusal == (Reason.INVALID, ("body",), "", "File is too large.")


@pytest.mark.parametrize("handler", [files.retrieve_file, files.delete_file, files.download_file])
def test_a_file_unknown_or_of_another_account_is_404(desk: FileHandlerClient, handler: Any) -> None:
    anothers = desk.store(token="bob")["id"]

    for id_ in (anothers, "file-unknown"):
        assert desk.refusal(handler, file_id=id_) == not_found(id_)
    assert desk.lookup(anothers) is None
    assert desk.lookup(anothers, token="bob") is not None


def test_a_deleted_file_is_gone_and_deleting_it_twice_is_404(desk: FileHandlerClient) -> None:
    id_ = desk.store()["id"]

    assert desk.value(files.delete_file, file_id=id_) == {"id": id_, "object": "file", "deleted": True}

    for handler in (files.retrieve_file, files.delete_file, files.download_file):
        assert desk.refusal(handler, file_id=id_) == not_found(id_)


def test_a_download_continues_when_the_file_is_deleted(desk: FileHandlerClient) -> None:
    content = b"x" * (3 * CHUNK_BYTES)
    id_ = desk.store(content)["id"]
    parts = desk.call(files.download_file, file_id=id_).body
    assert not isinstance(parts, bytes)
    first = next(parts)

    desk.call(files.delete_file, file_id=id_)

    assert first + b"".join(parts) == content


# Lists


def test_files_are_listed_the_newest_first(desk: FileHandlerClient) -> None:
    ids = [desk.store()["id"] for _ in range(3)]
    desk.store(token="bob")

    assert desk.ids() == ids[::-1]
    assert desk.ids(order="asc") == ids
    assert desk.ids(order="desc") == ids[::-1]


def test_an_empty_page_has_neither_first_nor_last(desk: FileHandlerClient) -> None:
    page = desk.value(files.list_files)

    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_files_of_one_purpose_are_listed_alone(desk: FileHandlerClient) -> None:
    wanted, other = desk.store(purpose="evals")["id"], desk.store()["id"]

    assert desk.ids(purpose="evals") == [wanted]
    assert desk.ids(purpose="unheard-of") == []
    assert desk.ids(purpose="evals", after=other) == [wanted], "a page may begin behind a file it would not show"


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 10])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_hold_every_file_once(desk: FileHandlerClient, limit: int, order: str) -> None:
    for _ in range(4):
        desk.store()
    seen: list[str] = []
    page: dict[str, Any] = {"has_more": True}

    while page["has_more"]:
        page = desk.value(files.list_files, limit=limit, order=order, **({"after": seen[-1]} if seen else {}))
        seen += [each["id"] for each in page["data"]]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])

    assert seen == desk.ids(order=order)


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_continues_after_a_deleted_file(desk: FileHandlerClient, order: str) -> None:
    ids = [desk.store()["id"] for _ in range(4)]
    ids = ids if order == "asc" else ids[::-1]

    desk.call(files.delete_file, file_id=ids[1])

    assert desk.ids(order=order, after=ids[1]) == ids[2:]
    assert desk.ids(order=order) == [ids[0], *ids[2:]]


def test_a_page_continues_after_an_expired_file(desk: FileHandlerClient) -> None:
    kept, expired = desk.store(purpose="evals")["id"], desk.store()

    desk.now = expired["expires_at"]

    assert desk.ids(after=expired["id"]) == [kept]


def test_a_page_after_an_unknown_file_is_empty(desk: FileHandlerClient) -> None:
    anothers = desk.store(token="bob")["id"]

    for id_ in ("file-unknown", anothers):
        message = f"Invalid 'after': no such file: {id_}"
        expected = (Reason.INVALID, ("query", "after"), "invalid_value", message)
        assert desk.refusal(files.list_files, after=id_) == expected


def test_files_of_a_batch_are_listed_by_their_time(desk: FileHandlerClient) -> None:
    early, late = desk.store()["id"], desk.store()["id"]

    def write(call: Call) -> Response:
        output = Blob.in_memory(b"{}\n")
        record = files.keep_file(
            call,
            filename="batch_1_output.jsonl",
            purpose="batch_output",
            blob=output,
            expires_at=5000,
            id="file-output",
            account=account_key("ann"),
            created_at=1001,
        )
        return call.reply(files.file_json(record))

    written = desk.value(write, token="bob")

    assert (written["id"], written["created_at"], written["expires_at"]) == ("file-output", 1001, 5000)
    assert desk.ids(order="asc") == [early, "file-output", late]


# Downloads


def test_a_file_is_downloaded_as_it_was_uploaded(desk: FileHandlerClient) -> None:
    content = bytes(range(256)) * 4096
    id_ = desk.store(content, purpose="user_data")["id"]

    status, body, headers = desk.download(id_)

    assert (status, body) == (200, content)
    assert headers == {
        "Content-Length": str(len(content)),
        "Accept-Ranges": "bytes",
        "Content-Disposition": 'attachment; filename="rivers.jsonl"',
    }


@pytest.mark.parametrize(
    ("range", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-3", 0, 4),
        ("bytes=4-", 4, 10),
        ("bytes=9-9", 9, 10),
        ("bytes=2-99999", 2, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-99", 0, 10),
        ("Bytes= 2-3 ", 2, 4),
    ],
)
def test_a_range_is_answered_with_its_bytes(desk: FileHandlerClient, range: str, start: int, stop: int) -> None:
    id_ = desk.store(b"0123456789")["id"]

    status, body, headers = desk.download(id_, range)

    assert (status, body) == (206, b"0123456789"[start:stop])
    assert headers["Content-Range"] == f"bytes {start}-{stop - 1}/10"
    assert headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize(
    "range",
    ["", "bytes", "bytes=", "bytes=-", "bytes=3-2", "bytes=0-1,3-4", "items=0-1", "bytes=a-b", "bytes=१-", "bytes=--1"],
)
def test_an_invalid_range_is_ignored(desk: FileHandlerClient, range: str) -> None:
    id_ = desk.store(b"0123456789")["id"]

    status, body, headers = desk.download(id_, range)

    assert (status, body) == (200, b"0123456789")
    assert "Content-Range" not in headers


def test_a_range_with_a_number_beyond_all_files_is_ignored(desk: FileHandlerClient) -> None:
    id_ = desk.store(b"0123456789")["id"]

    assert desk.download(id_, f"bytes={'9' * 5000}-")[0] == 200


@pytest.mark.parametrize(
    ("content", "range"),
    [(b"0123456789", "bytes=10-"), (b"0123456789", "bytes=10-20"), (b"0123456789", "bytes=-0"), (b"", "bytes=0-")],
)
def test_a_range_beyond_the_end_is_416(desk: FileHandlerClient, content: bytes, range: str) -> None:
    id_ = desk.store(content, purpose="evals")["id"]

    with pytest.raises(Refusal) as refused:
        desk.call(files.download_file, file_id=id_, range=range)

    assert refused.value.status == 416
    assert refused.value.headers == (("Content-Range", f"bytes */{len(content)}"),)
    assert refused.value.detail == f"Range '{range}' lies beyond the end of the file."
    (violation,) = refused.value.violations
    assert (violation.location, violation.code) == (("header", "Range"), "range_not_satisfiable")


def test_a_range_that_depends_on_an_older_copy_is_not_applied(desk: FileHandlerClient) -> None:
    id_ = desk.store(b"0123456789")["id"]
    guarded = Request("GET", "/x", headers={"if-range": '"a copy"'})

    def download(call: Call) -> Response:
        return files.download_file(call._replace(request=guarded))

    assert desk.call(download, file_id=id_, range="bytes=0-3").status == 200


@pytest.mark.parametrize(
    ("filename", "plain", "real"),
    [
        ("tides (1).txt", "tides (1).txt", ""),
        ('a".txt', "a_.txt", "a%22.txt"),
        ("a\\b/c", "a_b_c", "a%5Cb%2Fc"),
        ("a\r\nSet-Cookie: b", "a__Set-Cookie_ b", "a%0D%0ASet-Cookie%3A%20b"),
        ("Zoë 東京", "Zo_ __", "Zo%C3%AB%20%E6%9D%B1%E4%BA%AC"),
        ("100%41", "100_41", "100%2541"),
    ],
)
def test_file_names_are_escaped_in_content_disposition(
    desk: FileHandlerClient, filename: str, plain: str, real: str
) -> None:
    id_ = desk.store(filename=filename, purpose="evals")["id"]

    stated = desk.download(id_)[2]["Content-Disposition"]

    assert stated == f'attachment; filename="{plain}"' + (f"; filename*=UTF-8''{real}" if real else "")
