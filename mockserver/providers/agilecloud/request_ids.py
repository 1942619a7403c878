"""AgileCloud's `X-Request-ID`: the client's own, or one derived from the request and how often it was sent."""

from collections.abc import Iterator, Mapping
from itertools import islice

import orjson
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from mockserver.http import Request, Upload
from mockserver.lazy import lazy_pattern
from mockserver.openapi.security import read_token
from mockserver.sandbox.ids import canonical, digest, seed_of
from mockserver.sandbox.manager import shortened_name
from mockserver.sandbox.sandbox import Sandbox
from mockserver.stores.collection import Collection

ASKED = "agilecloud.asked"
"""The collection that counts how often each request was sent."""
MAX_REQUEST_ID = 128
"""The most characters of a client's id."""
MAX_ASKED = 50_000
"""The most different requests that a sandbox counts. Beyond it the older half is dropped, and later ids still differ
from all earlier ones.
"""
MAX_PARSED = 64 * 1024
"""The most bytes of a JSON body that is compared ignoring the order of keys and white space."""

_SEED = seed_of(b"request")
_DROPPED = ""
"""The key under which the number of such drops is counted."""
_NOT_OF_AN_ID = lazy_pattern(r"[^A-Za-z0-9._-]")


def request_id(request: Request, sandbox: Sandbox, canonical_body: bytes | memoryview) -> str:
    """The client's own id, reduced to the allowed characters, else 32 hexadecimal digits.

    Those depend on the seed, the sandbox, the request, and how often the same request was sent before; other requests
    do not matter. `canonical_body` is that of the request, empty if it is not known.
    """
    given = request.headers.get("x-request-id")
    if given and (kept := _NOT_OF_AN_ID.sub("", given)[:MAX_REQUEST_ID]):
        return kept
    query = request.query
    if query:
        query = "&".join(sorted(query.split("&")))
    head = f"{request.method}\n{request.path}\n{query}\n{_other_token(request, sandbox)}\n\n"
    body = canonical_body
    if not body or len(request.body) > MAX_PARSED:  # else, as for most, there is no form
        body = _body(request.body) if request.form is None else _form(request.form)
    # The salt contains the sandbox's name, or another one's (`ids_of`).
    content = b"".join((sandbox.ids.salt, head.encode() if head.isascii() else _encode(head), body))
    asked = xxh3_128_digest(content, _SEED)
    count, drops = _count(sandbox.collection(ASKED, int), asked[:8].hex())
    return xxh3_128_hexdigest(b"%b%d:%d" % (asked, count, drops), _SEED)


def _other_token(request: Request, sandbox: Sandbox) -> str:
    """The request's token, empty without one and where it names the sandbox."""
    name = sandbox.name
    if request.headers.get("authorization") == f"Bearer {name}":  # as most
        return ""
    token = read_token(request) or ""
    return "" if token == name or shortened_name(token) == name else token


def _encode(head: str) -> bytes:
    return head.encode("utf-8", "surrogatepass")


def _count(asked: Collection[int], key: str) -> tuple[int, int]:
    """How often the request was sent before, and how often counts were dropped."""
    drops, count = asked.get(_DROPPED) or 0, asked.get(key) or 0
    if not count and len(asked) > MAX_ASKED:
        for old in islice((each for each, _ in asked.items() if each != _DROPPED), MAX_ASKED // 2):
            asked.delete(old)
        drops += 1
        asked.put(_DROPPED, drops)
    asked.put(key, count + 1)
    return count, drops


def _form(form: Mapping[str, str | Upload]) -> bytes:
    """The form's fields; of a file only name, size and first bytes, since hashing a large one takes long."""
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
