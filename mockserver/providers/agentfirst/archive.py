"""The archive behind a finished batch's `url`: one file per prompt in input order, as ZIP or as lines of JSON.

The vendor documents neither the archive's format nor its access rules; all of this is our choice.
"""

from collections.abc import Iterable, Iterator
from io import RawIOBase
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import orjson

from mockserver.api.call import ApiContext
from mockserver.providers.agentfirst.completions import Question, completion_for
from mockserver.sandbox.batches import Batch

# The earliest time that ZIP supports, so that an archive has the same bytes at any time.
_WHEN = (1980, 1, 1, 0, 0, 0)
FAILED = {"status": "failed"}


class _Sink(RawIOBase):
    """Passes on what ZipFile writes. It cannot seek, so ZipFile writes a stream."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


def zip_archive(batch: Batch, asked: Iterable[Question], world: ApiContext) -> Iterator[bytes]:
    """The archive as a ZIP: for the first prompt `0001.json` or `0001.html`, or a failure."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_DEFLATED) as archive:
        for n, entry in enumerate(_entries(batch, asked, world), 1):
            is_page = isinstance(entry, str)
            content = entry.encode() if isinstance(entry, str) else orjson.dumps(entry)
            info = ZipInfo(f"{n:04}.{'html' if is_page else 'json'}", _WHEN)
            info.compress_type = ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
            yield sink.take()
    yield sink.take()


def ndjson_archive(batch: Batch, asked: Iterable[Question], world: ApiContext) -> Iterator[bytes]:
    """The archive as a line of JSON per prompt: the completion, its page as a string, or `{"status": "failed"}`."""
    for entry in _entries(batch, asked, world):
        yield orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def _entries(batch: Batch, asked: Iterable[Question], world: ApiContext) -> Iterator[Any]:
    is_rendered = batch.request().get("format") == "rendered"
    for index, question in enumerate(asked):
        if batch.outcome(index).failure is not None:
            yield FAILED
        else:
            completion = completion_for(question, world)
            yield completion["html"] if is_rendered else completion
