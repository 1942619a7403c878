"""AgileCloud's `X-Request-ID`: the client's own, or one derived from the request and how often it was sent."""

from collections.abc import Iterator, Mapping
from itertools import islice

import orjson
from xxhash import xxh3_128_digest, xxh3_128_hexdigest

from mockserver.http import Request, Upload
from mockserver.lazy import lazy_pattern
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


def request_id(request: Request, sandbox: Sandbox, token: str, canonical_body: bytes | memoryview) -> str:
    """The client's own id, reduced to the allowed characters, else 32 hexadecimal digits.

    Those depend on the seed, the sandbox, the request, and how often the same request was sent before; other requests
    do not matter. `canonical_body` is that of the request, empty if it is not known.
    """
    given = request.headers.get("x-request-id")
    kept = _NOT_OF_AN_ID.sub("", given)[:MAX_REQUEST_ID] if given else ""
    if kept:
        return kept
    # The salt contains the sandbox's name, or another one's (`ids_of`).
    other_token = "" if token == sandbox.name or shortened_name(token) == sandbox.name else token
    asked = xxh3_128_digest(b"".join((sandbox.ids.salt, *_content(request, other_token, canonical_body))), _SEED)
    count, drops = _count(sandbox.collection(ASKED, int), asked[:8].hex())
    return xxh3_128_hexdigest(b"%b%d:%d" % (asked, count, drops), _SEED)


def _count(asked: Collection[int], key: str) -> tuple[int, int]:
    """How often the request was sent before, and how often counts were dropped."""
    drops = asked.get(_DROPPED) or 0
    count = asked.get(key) or 0
    if not count and len(asked) > MAX_ASKED:
        for old in islice((each for each, _ in asked.items() if each != _DROPPED), MAX_ASKED // 2):
            asked.delete(old)
        drops += 1
        asked.put(_DROPPED, drops)
    asked.put(key, count + 1)
    return count, drops


def _content(
    request: Request, other_token: str, canonical_body: bytes | memoryview
) -> tuple[bytes, bytes | memoryview]:
    """What identifies a request, in two parts. For a form its fields, since its boundary is random."""
    query = "&".join(sorted(request.query.split("&"))) if request.query else ""
    head = f"{request.method}\n{request.path}\n{query}\n{other_token}\n\n".encode("utf-8", "surrogatepass")
    if canonical_body and len(request.body) <= MAX_PARSED:  # as most; there is no form then
        return head, canonical_body
    return head, _body(request.body) if request.form is None else _form(request.form)


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
