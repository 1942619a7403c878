"""AgileCloud's files: uploads and results of batches, until they are deleted or expire."""

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote

from mockserver.api.call import Call
from mockserver.errors import Reason, Refusal, Violation
from mockserver.http import Response, StoredBytes
from mockserver.records import Bounds, Record
from mockserver.sandbox.blobs import Blob
from mockserver.sandbox.clock import LATEST
from mockserver.sandbox.ids import canonical
from mockserver.sandbox.sandbox import Sandbox
from mockserver.stores.collection import Collection

MEGABYTE = 1024 * 1024
MAX_BATCH_FILE = 200
MAX_FILE = 512
"""The largest file, in the document's megabytes."""
BATCH_FILE_LIFE = 30 * 24 * 3600
"""In seconds. "Files with the purpose `batch` are gone after 30 days unless `expires_after` says otherwise"."""
MAX_PAGE = 10_000
EXPIRY = ("expires_after[anchor]", "expires_after[seconds]")
"""The form fields that set a file's expiry."""

LONGEST_LIFE = 10**9
"""The longest life of a file in seconds; the document allows less."""
Life = Annotated[int, Bounds(ge=0, le=LONGEST_LIFE)]

_NOTHING = Blob.in_memory(b"")
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII | re.IGNORECASE)
_NO_LETTERS = re.compile(r"[^a-z]")
_PLAIN = re.compile(r"[^A-Za-z0-9 !#$&'()+,.;=@\[\]^_`{}~-]")


class FileRecord(Record, frozen=True, gc=False):
    """A file. The record of a deleted file stays, so that it is still a valid cursor of a list."""

    id: str
    account: str
    filename: str
    purpose: str
    size: int
    created_at: Annotated[int, Bounds(ge=0, le=int(LATEST))]
    """Sandbox time, in Unix seconds."""
    expires_at: Annotated[int, Bounds(ge=0, le=int(LATEST) + LONGEST_LIFE)] | None
    """None for a file that does not expire. A long-lived file expires after the clock's maximum."""
    blob: StoredBytes
    deleted: bool = False

    def __post_init__(self) -> None:
        if self.size != self.blob.size and not self.deleted:
            raise ValueError(f"its size is {self.size}; its blob has {self.blob.size} bytes")

    def gone(self) -> "FileRecord":
        """The record of a deleted file, without content."""
        return self._replace(deleted=True, blob=_NOTHING)


def files_of(sandbox: Sandbox) -> Collection[FileRecord]:
    """The files of a sandbox, by id."""
    return sandbox.collection("agilecloud.files", FileRecord)


def keep_file(
    call: Call,
    *,
    filename: str,
    purpose: str,
    blob: StoredBytes,
    expires_at: int | None = None,
    id: str | None = None,
    account: str | None = None,
    created_at: int | None = None,
) -> FileRecord:
    """Add a file; by default one of the calling account, created now, with a new id."""
    record = FileRecord(
        id=id or _next_id(call, filename, purpose, blob),
        account=account or call.account.key,
        filename=filename,
        purpose=purpose,
        size=blob.size,
        created_at=int(call.now) if created_at is None else created_at,
        expires_at=expires_at,
        blob=blob,
    )
    files_of(call.sandbox).put(record.id, record)
    return record


def find_file(call: Call, id: str) -> FileRecord | None:
    """The account's file, unless it is deleted or expired."""
    record = files_of(call.sandbox).get(id)
    if record is None or record.account != call.account.key:
        return None
    record = _without_expired(call, record)
    return None if record.deleted else record


def file_rows(sandbox: Sandbox, now: float) -> Iterator[dict[str, Any]]:
    """Every account's files, without deleted and expired ones."""
    for each in files_of(sandbox).scan():
        if not each.deleted and (each.expires_at is None or now < each.expires_at):
            yield {**file_json(each), "account": each.account}


def file_json(record: FileRecord) -> dict[str, Any]:
    """The file object."""
    return {
        "id": record.id,
        "object": "file",
        "bytes": record.size,
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "filename": record.filename,
        "purpose": record.purpose,
        "status": "processed",
        "status_details": None,
    }


def create_file(call: Call) -> Response:
    upload, purpose = call.body["file"], call.body["purpose"]
    _check_fields(call.body)
    _check_file(upload.filename, purpose, upload.blob)
    life = call.body.get("expires_after[seconds]", BATCH_FILE_LIFE if purpose == "batch" else None)
    expires_at = None if life is None else int(call.now) + life
    record = keep_file(call, filename=upload.filename, purpose=purpose, blob=upload.blob, expires_at=expires_at)
    return call.reply(file_json(record))


def list_files(call: Call) -> Response:
    wanted = call.arguments
    records = sorted(
        (each for each in files_of(call.sandbox).scan() if each.account == call.account.key),
        key=lambda record: record.created_at,
    )
    if wanted.get("order", "desc") == "desc":
        records.reverse()
    if "after" in wanted:
        records = records[_place(records, wanted["after"]) + 1 :]
    found = [
        aged
        for aged in (_without_expired(call, each) for each in records)
        if not aged.deleted and aged.purpose == wanted.get("purpose", aged.purpose)
    ]
    limit = wanted.get("limit", MAX_PAGE)
    page = found[: min(limit, call.sandbox.conditions.page_size or limit)]
    return call.reply(
        {
            "object": "list",
            "data": [file_json(each) for each in page],
            "first_id": page[0].id if page else None,
            "last_id": page[-1].id if page else None,
            "has_more": len(page) < len(found),
        }
    )


def retrieve_file(call: Call) -> Response:
    return call.reply(file_json(_file_name(call)))


def delete_file(call: Call) -> Response:
    record = _file_name(call)
    files_of(call.sandbox).put(record.id, record.gone())
    return call.reply({"id": record.id, "object": "file", "deleted": True})


def download_file(call: Call) -> Response:
    record = _file_name(call)
    wanted = _read_range(call, record.size)
    start, stop = wanted or (0, record.size)
    headers: tuple[tuple[str, str], ...] = (
        ("Content-Length", str(stop - start)),
        ("Accept-Ranges", "bytes"),
        ("Content-Disposition", _disposition(record.filename)),
    )
    if wanted:
        headers = (*headers, ("Content-Range", f"bytes {start}-{stop - 1}/{record.size}"))
    parts = record.blob.chunks(start, stop)
    return Response(206 if wanted else 200, "application/octet-stream", parts, headers, "handler")


def _next_id(call: Call, filename: str, purpose: str, blob: StoredBytes) -> str:
    identity = call.sandbox.ids.next("createFile", canonical([filename, purpose, blob.digest().hex()]))
    return f"file-{identity.hex()[:24]}"


def _without_expired(call: Call, record: FileRecord) -> FileRecord:
    """The record as of now: without content if it has expired."""
    is_over = record.expires_at is not None and record.expires_at <= call.now
    if record.deleted or not (is_over or call.sandbox.conditions.forgets(record.created_at, call.now)):
        return record
    gone = record.gone()
    files_of(call.sandbox).put(record.id, gone)
    return gone


def _file_name(call: Call) -> FileRecord:
    """The file that the path names; raises Refusal when the account has no such file."""
    id_ = call.arguments["file_id"]
    record = find_file(call, id_)
    if record is None:
        raise _refusal(Reason.NOT_FOUND, ("path", "id"), "", f"No such File object: {id_}")
    return record


def _refusal(reason: Reason, location: tuple[str, ...], code: str, message: str, **more: Any) -> Refusal:
    return Refusal(reason, message, violations=[Violation(location, code, message)], **more)


def _check_fields(names: Iterable[str]) -> None:
    """Rejects `expires_after` in any spelling but `expires_after[anchor]` and `expires_after[seconds]`."""
    for name in names:
        if name not in EXPIRY and _NO_LETTERS.sub("", name.lower()).startswith("expiresafter"):
            message = f"Unknown parameter: '{name[:100]}'. Send '{EXPIRY[0]}' and '{EXPIRY[1]}', each as a form field."
            raise _refusal(Reason.INVALID, ("body", name[:100]), "unknown_parameter", message)


def _check_file(filename: str, purpose: str, blob: StoredBytes) -> None:
    is_input = purpose == "batch"
    # Clients that upload bytes have no file name: the OpenAI SDK sends `upload`.
    if is_input and PurePosixPath(filename).suffix.lower() not in {"", ".", ".jsonl"}:
        raise _refusal(Reason.INVALID, ("body",), "", "Invalid file format for Batch API. Must be .jsonl")
    if is_input and not blob.size:
        raise _refusal(Reason.INVALID, ("body", "file"), "empty_file", "Invalid file for Batch API. It is empty.")
    if blob.size > (MAX_BATCH_FILE if is_input else MAX_FILE) * MEGABYTE:
        raise _refusal(Reason.INVALID, ("body",), "", "File is too large.")
    if is_input and not blob.is_utf8():
        raise _refusal(Reason.INVALID, ("body",), "", "Invalid file for Batch API. Must be utf-8 encoded")


def _place(records: list[FileRecord], id_: str) -> int:
    """The position in the list of the id's file, deleted or not."""
    place = next((n for n, record in enumerate(records) if record.id == id_), None)
    if place is None:
        raise _refusal(Reason.INVALID, ("query", "after"), "invalid_value", f"Invalid 'after': no such file: {id_}")
    return place


def _read_range(call: Call, size: int) -> tuple[int, int] | None:
    """The requested range, from start to stop; None for the whole file, or an invalid range."""
    # A file has no validator for If-Range, so a range with that header does not apply (RFC 9110, 13.1.5).
    stated = call.arguments.get("range", "") if "if-range" not in call.request.headers else ""
    found = _RANGE.fullmatch(stated.strip())
    if found is None:
        return None
    first, last = found.groups()
    if first:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    elif last:
        start, stop = max(size - int(last), 0), size
    else:
        return None
    if start >= size:
        message = f"Range '{stated.strip()}' lies beyond the end of the file."
        length = (("Content-Range", f"bytes */{size}"),)
        raise _refusal(
            Reason.INVALID, ("header", "Range"), "range_not_satisfiable", message, status=416, headers=length
        )
    return start, stop


def _disposition(filename: str) -> str:
    """The file name for saving: an ASCII name, and the real one if it differs."""
    plain = _PLAIN.sub("_", filename)
    real = "" if plain == filename else f"; filename*=UTF-8''{quote(filename, safe='')}"
    return f'attachment; filename="{plain}"{real}'
