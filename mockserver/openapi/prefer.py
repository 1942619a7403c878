"""Parses the preference for a documented response: the header `Prefer` (RFC 7240), and its query parameters."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mockserver.http import Request
from mockserver.lazy import lazy_pattern
from mockserver.openapi.operations import Operation
from mockserver.percent import unquote_plus

NAMES = ("code", "example", "dynamic", "seed")
TWINS = {f"__{name}": name for name in NAMES}
MAX_HEADER = 4096
MAX_VALUE = 200
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  RFC 9110's word
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PREFERENCE = lazy_pattern(rf"\s*({_TOKEN})\s*(?:=\s*({_TOKEN}|{_QUOTED}))?\s*(?:;.*)?", re.DOTALL)
_PARTS = lazy_pattern(rf'(?:[^,"]|{_QUOTED})+')
_CODE = lazy_pattern(r"[2-5]\d\d", re.ASCII)
_SEED = lazy_pattern(r"[ -~]+")


class Preference(NamedTuple):
    """The preferred response. None where there is no preference."""

    code: int | None = None
    example: str = ""
    """The name of a documented example."""
    dynamic: bool | None = None
    """Whether to generate the response from the schema instead of using an example."""
    seed: str = ""
    """The seed of the generated response; on its own it implies a generated one."""

    @property
    def wants_fabricated(self) -> bool:
        """Whether to generate the response."""
        return bool(self.seed) if self.dynamic is None else self.dynamic


def read_preference(operation: Operation, request: Request) -> tuple[Preference | None, Request]:
    """The request's preference, None without one; and the request without the query parameters.

    Unrelated preferences (`wait=10`) are ignored. The query has precedence over the header; of a repeated name the
    header's first value counts, as RFC 7240 says, and the query's last. Raises ValueError for an invalid value.
    """
    stated = _read_header(request.headers.get("prefer", ""))
    if "__" in request.query:
        twins, query = _read_twins(operation, request.query)
        stated |= twins
        request = request._replace(query=query)
    return (_read(stated) if stated else None), request


def preference_applied(preference: Preference, *, code: int, example: str, source: str) -> str:
    """The value of `Preference-Applied`: the preferences that had an effect. `example` is the example that was used."""
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
    """The preferences in the query, and the query without them. Documented parameters are not preferences."""
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
    """A value as a token, or quoted."""
    if re.fullmatch(_TOKEN, value):
        return value
    printable = "".join(each if " " <= each <= "~" else "?" for each in value)
    return '"' + re.sub(r'(["\\])', r"\\\1", printable) + '"'
