"""Near misses: the nearest operation or fixture to a request that matched none, and the difference."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from mockserver.api.provider import RequestPrompt
from mockserver.fixtures.files import CannedResponse, Completion, Fixtures
from mockserver.http import Request
from mockserver.json_bodies import JsonError, parse_json
from mockserver.openapi.document import Operation
from mockserver.sandbox.journal import Exchange

MAX_SHOWN = 2000
"""The most characters of a text that are shown and compared line by line."""
MAX_CANDIDATES = 300
"""The most characters of a text that are compared to find the nearest one."""
MAX_LINES = 60
MAX_PROMPTS = 5
"""The most prompts of one request that are explained; all are counted."""
MAX_COMPARED = 50_000
"""The most texts that one explanation compares; later ones get no nearest."""

MAX_JUDGED = 1_000_000
"""The most comparisons of a prompt with a fixture's conditions."""


class NearMiss(NamedTuple):
    """The nearest operation or fixture, and the difference."""

    kind: str
    """`operation` or `fixture`."""
    asked: str
    nearest: str
    """The operation, or the fixture's `fixture:<file>#<n>`; empty if there is none, or too much to compare."""
    difference: tuple[str, ...]
    """Lines: `- ` is expected by the nearest, `+ ` was received, `  ` is equal."""


class NearMissFinder:
    """Finds near misses, with a bounded number of comparisons in all."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._left = MAX_COMPARED
        self._judged = 0
        self._marks: dict[str, frozenset[str]] = {}

    def operation(self, request: Request) -> NearMiss:
        """The nearest operation to an unmatched request."""
        method, path = request.method[:MAX_CANDIDATES], request.path[:MAX_CANDIDATES]
        asked = f"{method} {path}"
        best, score = None, -1.0
        for each in self._operations:
            if self._left <= 0:
                break
            self._left -= 1
            found = _likeness(_path_marks(each.path), _path_marks(_like(each.path, path))) + 0.1 * (
                each.method == method
            )
            if found > score:
                best, score = each, found
        if best is None:
            return NearMiss("operation", asked, "", ())
        lines = _difference(_request_lines(best.method, best.path), _request_lines(method, _like(best.path, path)))
        return NearMiss("operation", asked, best.key, lines)

    def completion(self, prompt: RequestPrompt, fixtures: Fixtures) -> NearMiss:
        """The nearest canned completion to a prompt."""
        marks = _trigrams(prompt.text)
        best, score = None, 0.0
        for each in fixtures.completions:
            if self._left <= 0:
                best = None
                break
            self._left -= 1
            found = _likeness(self._marks_of(each), marks) - _mismatches(each, prompt)
            if best is None or found > score:
                best, score = each, found
        asked = prompt.text[:MAX_CANDIDATES]
        if best is None:
            return NearMiss("fixture", asked, "", ())
        return NearMiss("fixture", asked, best.source, _completion_difference(best, prompt))

    def response(self, request: Request, canned: Sequence[CannedResponse]) -> NearMiss:
        """The nearest canned response to a request."""
        came = _received_text(request)
        best, score = canned[0], -1.0
        lines: tuple[str, ...] = ()
        for each in canned[: max(min(self._left // 100, len(canned)), 1)]:
            self._left -= 100  # a comparison line by line costs as much as so many trigram comparisons
            wanted = each.entry.get("match", {})
            left, right = _json_lines(wanted), _json_lines(_prune(came, wanted))
            found = difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()
            if found > score:
                best, lines, score = each, _difference(left, right), found
        return NearMiss("fixture", f"{request.method} {request.path[:MAX_CANDIDATES]}", best.source, lines)

    def unmatched_prompts(self, prompts: Iterable[RequestPrompt], fixtures: Fixtures) -> list[RequestPrompt]:
        """The prompts without a matching canned completion, within the bounds."""
        found = []
        for each in prompts:
            if self.is_exhausted:
                break
            self._judged += len(fixtures.completions) + 1
            if fixtures.completion(each.text, each.model, each.country) is None:
                found.append(each)
        return found

    @property
    def is_exhausted(self) -> bool:
        """Whether the limit of comparisons is reached."""
        return self._judged >= MAX_JUDGED

    def _marks_of(self, each: Completion) -> frozenset[str]:
        if each.source not in self._marks:
            self._marks[each.source] = _trigrams(_wanted_text(each)[1])
        return self._marks[each.source]


class UnmatchedPrompts(NamedTuple):
    """An exchange that matched no operation or no fixture, with near misses."""

    exchange: Exchange
    misses: tuple[NearMiss, ...]
    unfit: int
    """How many of its prompts matched nothing; only the first few are explained."""


def _trigrams(text: str) -> frozenset[str]:
    """Sequences of three letters, which tolerate typing errors better than whole words."""
    text = f" {text[:MAX_CANDIDATES].lower()} "
    return frozenset(text[n : n + 3] for n in range(len(text) - 2))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other) or 1)


def _mismatches(each: Completion, prompt: RequestPrompt) -> float:
    match = each.match
    wrong_model = match.models is not None and prompt.model not in match.models
    wrong_country = match.country is not None and match.country != (prompt.country or "").upper()
    return 0.2 * wrong_model + 0.2 * wrong_country


def _wanted_text(each: Completion) -> tuple[str, str]:
    """A fixture's conditions and response as text."""
    match = each.match
    if match.prompt is not None:
        return "prompt", match.prompt
    if match.contains is not None:
        return "contains", match.contains
    return ("pattern", match.pattern.text) if match.pattern else ("prompt", "")


def _completion_difference(each: Completion, prompt: RequestPrompt) -> tuple[str, ...]:
    match = each.match
    how, text = _wanted_text(each)
    wanted, came = [], []
    if match.models is not None:
        fits = prompt.model in match.models
        wanted.append(f"model: {prompt.model if fits else ' or '.join(sorted(match.models)[:20])}")
        came.append(f"model: {prompt.model}")
    if match.country is not None:
        wanted.append(f"country: {match.country}")
        came.append(f"country: {(prompt.country or 'not given').upper() if prompt.country else 'not given'}")
    wanted += _text_lines(f"prompt {how}" if how != "prompt" else how, text)
    came += _text_lines("prompt", prompt.text)
    return _difference(wanted, came)


def _text_lines(name: str, text: str) -> list[str]:
    first, *others = text[:MAX_SHOWN].splitlines() or [""]
    return [f"{name}: {first}", *others]


def _path_marks(path: str) -> frozenset[str]:
    return _trigrams(path) | {f"/{part}/" for part in path.split("/")}


def _like(template: str, path: str) -> str:
    """The path with the template's parameter names where they match, so that only real differences remain."""
    pairs = zip_longest(template.split("/"), path.split("/"), fillvalue="")
    parts = [part if part.startswith("{") and text else text for part, text in pairs]
    return "/".join(parts[: path.count("/") + 1])


def _request_lines(method: str, path: str) -> list[str]:
    return [f"method: {method}", *(f"path: /{part}" for part in path.split("/")[1:])]


def _received_text(request: Request) -> dict[str, Any]:
    try:
        body = parse_json(request.body)
    except JsonError:
        body = request.body[:MAX_SHOWN].decode("utf-8", "replace")
    return {"query": dict(parse_qsl(request.query[: 10 * MAX_SHOWN], keep_blank_values=True)), "body": body}


def _prune(came: Any, wanted: Any) -> Any:
    """The part of the request that the fixture's conditions refer to."""
    if isinstance(wanted, dict) and isinstance(came, dict):
        return {key: _prune(came[key], each) for key, each in wanted.items() if key in came}
    return came


def _json_lines(value: Any) -> list[str]:
    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    except TypeError:  # nested too deeply to be encoded
        return ["…"]
    return text[: 4 * MAX_SHOWN].decode("utf-8", "replace").splitlines()[:MAX_LINES]


def _difference(wanted: Sequence[str], came: Sequence[str]) -> tuple[str, ...]:
    left, right = [each[:MAX_SHOWN] for each in wanted[:MAX_LINES]], [each[:MAX_SHOWN] for each in came[:MAX_LINES]]
    return tuple(_lines(left, right))


def _lines(left: list[str], right: list[str]) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            yield from (f"  {line}" for line in left[a:b])
        else:
            yield from (f"- {line}" for line in left[a:b])
            yield from (f"+ {line}" for line in right[c:d])
