"""Read which documented answer a request prefers: the header `Prefer` (RFC 7240), and its twins in the query."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

from mockserver.http import Request
from mockserver.openapi.operations import Operation

NAMES = ("code", "example", "dynamic", "seed")
TWINS = {f"__{name}": name for name in NAMES}
MAX_HEADER = 4096
MAX_VALUE = 200
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  RFC 9110's word
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PREFERENCE = re.compile(rf"\s*({_TOKEN})\s*(?:=\s*({_TOKEN}|{_QUOTED}))?\s*(?:;.*)?", re.DOTALL)
_PARTS = re.compile(rf'(?:[^,"]|{_QUOTED})+')
_CODE = re.compile(r"[2-5]\d\d", re.ASCII)
_SEED = re.compile(r"[ -~]+")


class Preference(NamedTuple):
    """What answer a request prefers; what is left out is not cared about."""

    code: int | None = None
    example: str = ""
    """The name of a documented example."""
    dynamic: bool | None = None
    """Whether the answer is fabricated from the schema rather than an example."""
    seed: str = ""
    """What the fabricated answer varies with; alone, it asks for a fabricated one."""

    @property
    def wants_fabricated(self) -> bool:
        """Whether an example is not wanted."""
        return bool(self.seed) if self.dynamic is None else self.dynamic


def read_preference(operation: Operation, request: Request) -> tuple[Preference | None, Request]:
    """What the request prefers, None when nothing of this kind; and the request without the query twins.

    Preferences that belong to others (`wait=10`) are left alone. A twin counts for more than the header; of one name
    the header's first counts, as RFC 7240 says, and the query's last. Raises ValueError for a value without sense.
    """
    stated = _read_header(request.headers.get("prefer", ""))
    if "__" in request.query:
        twins, query = _read_twins(operation, request.query)
        stated |= twins
        request = request._replace(query=query)
    return (_read(stated) if stated else None), request


def preference_applied(preference: Preference, *, code: int, example: str, source: str) -> str:
    """The value of `Preference-Applied`: what of the preference had an effect. `example` is the one that was given."""
    is_fabricated = source == "generated"
    said = {
        "code": str(code) if preference.code else "",
        "example": example,
        "dynamic": str(is_fabricated).lower() if preference.dynamic is is_fabricated else "",
        "seed": preference.seed if is_fabricated else "",
    }
    return ", ".join(f"{name}={_word(value)}" for name, value in said.items() if value)


def _read_header(header: str) -> dict[str, str]:
    stated: dict[str, str] = {}
    for part in _PARTS.findall(header) if len(header) <= MAX_HEADER else ():
        found = _PREFERENCE.fullmatch(part)
        if found and found[1].lower() in NAMES:
            stated.setdefault(found[1].lower(), _unquote(found[2] or ""))
    return stated


def _read_twins(operation: Operation, query: str) -> tuple[dict[str, str], str]:
    """The twins, and the query without them. What the operation documents is no twin."""
    documented = {each.name for each in operation.parameters if each.location == "query"}
    twins, kept = {}, []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name in TWINS and name not in documented:
            twins[TWINS[name]] = unquote_plus(value)
        else:
            kept.append(part)
    return twins, "&".join(kept)


def _read(stated: Mapping[str, str]) -> Preference:
    for complaint in _complaints(stated):
        raise ValueError(complaint)
    code, dynamic = stated.get("code"), stated.get("dynamic")
    return Preference(
        int(code) if code else None,
        stated.get("example", ""),
        None if dynamic is None else dynamic != "false",
        stated.get("seed", ""),
    )


def _complaints(stated: Mapping[str, str]) -> Iterator[str]:
    code, seed = stated.get("code", "200"), stated.get("seed", "0")
    if not _CODE.fullmatch(code):
        yield f"The preference code is {_format_preference(code)}; wanted a status from 200 to 599."
    if stated.get("dynamic", "") not in {"", "true", "false"}:
        yield f"The preference dynamic is {_format_preference(stated['dynamic'])}; wanted true or false."
    if not _SEED.fullmatch(seed) or len(seed) > MAX_VALUE:
        yield f"The preference seed is {_format_preference(seed)}; wanted up to {MAX_VALUE} printable ASCII characters."
    if stated.get("example") == "":
        yield "The preference example is empty; wanted the name of a documented example."


def _format_preference(value: str) -> str:
    return repr(value[:MAX_VALUE])


def _unquote(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word


def _word(value: str) -> str:
    """A value as a token, quoted where it is none."""
    if re.fullmatch(_TOKEN, value):
        return value
    printable = "".join(each if " " <= each <= "~" else "?" for each in value)
    return '"' + re.sub(r'(["\\])', r"\\\1", printable) + '"'
