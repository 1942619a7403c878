"""Copies a document from a URL, with the files that it refers to on the same host, into a temporary folder."""

import atexit
import shutil
import tempfile
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urljoin, urlsplit

from mockserver import __version__
from mockserver.errors import MockServerError, SpecError
from mockserver.openapi.files import read_document
from mockserver.openapi.references import walk

MAX_BYTES = 64 * 1024 * 1024
"""The most bytes of all files of a document."""
MAX_FILES = 200
SECONDS = 20.0
"""How long a host may be silent."""


class Copy(NamedTuple):
    """The copy of a document."""

    path: Path
    folder: Path
    """Where all of its files are."""


@cache
def copy_document(url: str) -> Copy:
    """The copy, which is made once in a process; raises SpecError if the document cannot be read.

    Only the document's own host is asked, and redirects are followed. What else it refers to is left for the reader to
    report.
    """
    folder = Path(tempfile.mkdtemp(prefix="mockserver-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    left = MAX_BYTES
    found: dict[str, Path] = {}
    waiting = [_without_fragment(url)]
    while waiting and len(found) < MAX_FILES:
        address = waiting.pop()
        try:
            content = _read(address, left)
        except SpecError:
            if not found:
                raise
            continue  # the reader reports the reference
        left -= len(content)
        path = found[address] = _place(folder, address)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        for each in _references(path, address):
            if each not in found and each not in waiting and _host(each) == _host(url):
                waiting.append(each)
    return Copy(found[_without_fragment(url)], folder)


def _read(url: str, most: int) -> bytes:
    opener = request.OpenerDirector()
    for handler in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.HTTPRedirectHandler,
        request.HTTPDefaultErrorHandler,
        request.HTTPErrorProcessor,
    ):  # fmt: skip  without files and FTP
        opener.add_handler(handler())
    accept = "application/vnd.oai.openapi, application/yaml, application/json, */*"
    headers = {"User-Agent": f"mockserver/{__version__}", "Accept": accept}
    asked = request.Request(url, headers=headers)  # noqa: S310  other schemes have no handler
    try:
        with opener.open(asked, timeout=SECONDS) as answer:
            content: bytes = answer.read(most + 1)
    except HTTPError as error:
        error.close()  # it holds the connection
        raise SpecError(f"cannot be read: {error}", url) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if type(error) is URLError else error
        raise SpecError(f"cannot be read: {reason}", url) from error
    if len(content) > most:
        raise SpecError(f"it has more than {MAX_BYTES:,} bytes with its files", url)
    return content


def _references(path: Path, url: str) -> list[str]:
    """The addresses of other files that the file refers to by a relative reference."""
    try:
        value = read_document(path, SpecError, [])
    except MockServerError:
        return []
    texts = (node.get("$ref") for node in walk(value) if isinstance(node, dict))
    names = {_without_fragment(each) for each in texts if isinstance(each, str)}
    return [urljoin(url, each) for each in sorted(names) if each and not urlsplit(each).scheme]


def _place(folder: Path, url: str) -> Path:
    """Where a file lies: at the path of its URL below the folder, so that relative references hold."""
    names = [
        name for name in unquote(urlsplit(url).path).split("/") if name not in {"", ".", ".."} and "\0" not in name
    ]
    return folder.joinpath(*names or ["openapi"])


def _without_fragment(reference: str) -> str:
    return reference.partition("#")[0]


def _host(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
