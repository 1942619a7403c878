"""AgileCloud's `X-Request-ID`: the client's own, or one that follows from what is asked, and how often it was asked."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice

import orjson

from mockserver.http import Request, Upload
from mockserver.openapi.requests import read_token
from mockserver.sandbox.collection import Collection
from mockserver.sandbox.ids import canonical, digest, seed_of, seeded_digest
from mockserver.sandbox.manager import shortened_name
from mockserver.sandbox.sandbox import Sandbox

ASKED = "agilecloud.asked"
"""The collection that counts how often each request came."""
MAX_REQUEST_ID = 128
"""Characters that are kept of a client's own id."""
MAX_ASKED = 50_000
"""Different requests that a sandbox counts; then the older half is dropped, and ids differ from all earlier ones."""
MAX_PARSED = 64 * 1024
"""Bytes of a JSON body up to which the order of keys and white space do not matter."""

_SEED = seed_of(b"request")
_DROPPED = ""
"""The key under which it is counted how often the older half was dropped."""
_NOT_OF_AN_ID = re.compile(r"[^A-Za-z0-9._-]")


def request_id(request: Request, sandbox: Sandbox) -> str:
    """The client's own id, as far as its characters are allowed in one, else 32 hexadecimal digits.

    Those follow from the seed, the sandbox, the request, and how often the same request came before: other requests do
    not matter.
    """
    given = request.headers.get("x-request-id")
    kept = _NOT_OF_AN_ID.sub("", given)[:MAX_REQUEST_ID] if given else ""
    if kept:
        return kept
    token = read_token(request)
    # The salt stands for the sandbox's name already, and may be that of another sandbox (`ids_of`).
    asker = "" if not token or token == sandbox.name or shortened_name(token) == sandbox.name else token
    asked = seeded_digest(_SEED, sandbox.ids.salt + _content(request, asker))
    count, drops = _count(sandbox.collection(ASKED, int), asked[:8].hex())
    return seeded_digest(_SEED, b"%b%d:%d" % (asked, count, drops)).hex()


def _count(asked: Collection[int], key: str) -> tuple[int, int]:
    """How often the request came before, and how often requests were dropped from the count."""
    drops = asked.get(_DROPPED) or 0
    count = asked.get(key) or 0
    if not count and len(asked) > MAX_ASKED:
        for old in islice((each for each, _ in asked.items() if each != _DROPPED), MAX_ASKED // 2):
            asked.delete(old)
        drops += 1
        asked.put(_DROPPED, drops)
    asked.put(key, count + 1)
    return count, drops


def _content(request: Request, asker: str) -> bytes:
    """What tells one request from another. A form counts by its fields, because its boundary is a random one."""
    query = "&".join(sorted(request.query.split("&"))) if request.query else ""
    head = f"{request.method}\n{request.path}\n{query}\n{asker}\n\n".encode("utf-8", "surrogatepass")
    return head + (_body(request.body) if request.form is None else _form(request.form))


def _form(form: Mapping[str, str | Upload]) -> bytes:
    """The fields; a file counts by its name, size and beginning, because a large one takes long to read."""
    fields = {name: list(_file(value)) if isinstance(value, Upload) else value for name, value in form.items()}
    return canonical(fields)


def _file(upload: Upload) -> Iterator[str | int]:
    yield from (upload.filename, upload.media_type, upload.blob.size)
    yield digest(upload.blob.read(0, MAX_PARSED)).hex()


def _body(body: bytes) -> bytes:
    if not body or len(body) > MAX_PARSED:
        return body
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return body
