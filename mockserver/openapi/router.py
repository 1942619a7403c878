"""Method and path to an operation and its path arguments."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from mockserver.errors import WARNING, Problem, Reason, Refusal, SpecError
from mockserver.lazy import lazy_pattern
from mockserver.openapi.document import Operation
from mockserver.records import Record
from mockserver.text import nearest

MAX_NAME = 200
MAX_BASE = 3
"""The most segments in the path of a base URL."""
_NAME = lazy_pattern(r"\{([^{}]+)\}")


class RouteMatch(Record, frozen=True, gc=False):
    """The operation of a request, with the arguments in its path."""

    operation: Operation
    arguments: Mapping[str, str]


class RouteNotFound(Refusal):
    """A request without an operation: its path is unknown, or does not allow its method."""

    def __init__(
        self,
        reason: Reason,
        detail: str,
        near: Operation | None,
        headers: tuple[tuple[str, str], ...] = (),
        *,
        advice: str = "",
    ) -> None:
        """`near` is one of the path's operations, or of the most similar path; None if none is similar.

        `advice` says what is wrong with the client's base URL; empty if unknown.
        """
        super().__init__(reason, detail, headers=headers)
        self.near = near
        self.advice = advice


class Router:
    """Finds operations. A concrete path has precedence over a templated one, as OpenAPI requires."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        operations = tuple(operations)
        for problem in collisions(operations):
            raise SpecError(problem.message, problem.place)
        self._concrete: dict[str, dict[str, Operation]] = {}
        self._templated: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            paths = self._templated if "{" in operation.path else self._concrete
            paths.setdefault(operation.path, {})[operation.method] = operation
        self._matches = {path: self._every(methods) for path, methods in self._concrete.items()}
        self._patterns = [(_pattern_of(path, methods), methods) for path, methods in self._templated.items()]
        self._by_size = self._group_patterns()
        self._based = _based_router(operations)

    @classmethod
    def at(cls, places: Iterable[tuple[str, Operation]]) -> "Router":
        """A router of operations at other paths than their own."""
        router = cls(())
        for path, operation in places:
            paths = router._templated if "{" in path else router._concrete
            paths.setdefault(path, {})[operation.method] = operation
        router._matches = {path: cls._every(methods) for path, methods in router._concrete.items()}
        router._patterns = [(_pattern_of(path, methods), methods) for path, methods in router._templated.items()]
        router._by_size = router._group_patterns()
        return router

    def knows(self, path: str) -> bool:
        """Whether an operation has this path, with any method."""
        return path in self._concrete or any(pattern.fullmatch(path) for pattern, _ in self._candidates(path))

    def _group_patterns(self) -> dict[int, list[tuple[re.Pattern[str], dict[str, Operation]]]]:
        """The patterns by the number of slashes, which a parameter never matches, in the order of the document."""
        found: dict[int, list[tuple[re.Pattern[str], dict[str, Operation]]]] = {}
        for path, pattern in zip(self._templated, self._patterns, strict=True):
            found.setdefault(path.count("/"), []).append(pattern)
        if any(each.is_foreign for methods in self._templated.values() for each in methods.values()):
            ranks = {id(methods): _rank(path) for path, methods in self._templated.items()}
            for group in found.values():
                group.sort(key=lambda each: ranks[id(each[1])])
        return found

    def _candidates(self, path: str) -> Sequence[tuple[re.Pattern[str], dict[str, Operation]]]:
        return self._by_size.get(path.count("/"), ())

    def concrete(self, method: str, path: str) -> RouteMatch | None:
        """The operation at exactly this path, without parameters; None if there is none."""
        matches = self._matches.get(path)
        return matches.get(method) if matches else None

    def match(self, method: str, path: str) -> RouteMatch:
        """The operation; a GET operation also answers HEAD.

        Raises RouteNotFound: NO_SUCH_PATH, or METHOD_NOT_ALLOWED with all methods of the path in `Allow`.
        """
        matches = self._matches.get(path)
        found = matches.get(method) if matches else None
        return found or self._match_templated(method, path, self._concrete.get(path, {}))

    def _wrong_base_url(self, path: str) -> tuple[str, str]:
        """What is wrong with the client's base URL, and the intended path; empty if it seems right."""
        found: dict[str, dict[str, str]] = {}
        for each in mistaken_base_urls(path, self._prefixes):
            documented = self._documented(each.path)
            # A parameter matches any text, so only literal segments show the intended path.
            if f"{documented}/".startswith(f"{'/'.join(each.path.split('/')[: 1 + each.named])}/"):
                found.setdefault(each.sentence, {})[each.prefix] = documented
        if not found:
            return "", ""
        sentence, prefixes = next(iter(found.items()))
        return sentence.format(" or ".join(prefixes)), next(iter(prefixes.values()))

    def _documented(self, path: str) -> str:
        """The path's template in the document; empty if no operation has it."""
        if path in self._concrete:
            return path
        found = zip(self._patterns, self._templated, strict=True)
        return next((each for (pattern, _), each in found if pattern.fullmatch(path)), "")

    @cached_property
    def _prefixes(self) -> tuple[str, ...]:
        """Possible endings of a base URL: the prefixes of all paths, without parameters, shortest first."""
        found = set()
        for path in (*self._concrete, *self._templated):
            parts = path.split("/")
            found |= {"/".join(parts[:n]) for n in range(2, min(len(parts), MAX_BASE + 2))}
        return tuple(sorted((each for each in found if "{" not in each), key=lambda each: (len(each), each)))

    @staticmethod
    def _every(methods: Mapping[str, Operation]) -> dict[str, RouteMatch]:
        matches = {method: RouteMatch(operation, {}) for method, operation in methods.items()}
        return {"HEAD": matches["GET"], **matches} if "GET" in matches else matches

    def _match_templated(self, method: str, path: str, concrete: Mapping[str, Operation]) -> RouteMatch:
        allowed = dict(concrete)
        if self._based is not None and not concrete and self._based.knows(path):
            return self._based.match(method, path)
        for pattern, methods in self._candidates(path):
            found = pattern.fullmatch(path)
            if found is None:
                continue
            operation = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
            if operation is not None:
                return RouteMatch(operation, {_name(group): text for group, text in found.groupdict().items()})
            allowed |= methods
        if allowed:
            raise _not_allowed(method, path, allowed)
        shown = path[:MAX_NAME]
        advice, near = self._wrong_base_url(path)
        if not near:
            near = nearest(path, [*self._concrete, *self._templated], by_beginning=False)
        hint = f" {advice}" if advice else f" Did you mean {near}?" if near else ""
        methods = self._concrete.get(near) or self._templated.get(near) or {}
        meant = methods.get(method) or next(iter(methods.values()), None)
        raise RouteNotFound(Reason.NO_SUCH_PATH, f"No operation has the path {shown}.{hint}", meant, advice=advice)


def _based_router(operations: Sequence[Operation]) -> Router | None:
    """A router of the operations below the paths of their servers; None if no server has a path."""
    taken = set[tuple[str, str]]()
    found = []
    for operation in operations:
        for base in operation.bases:
            place = (operation.method, _NAME.sub("{}", base + operation.path))
            if place not in taken:
                taken.add(place)
                found.append((base + operation.path, operation))
    return Router.at(found) if found else None


def collisions(operations: Iterable[Operation]) -> Iterator[Problem]:
    """A problem for every operation with the method and path of an earlier one."""
    taken: dict[tuple[str, str], Operation] = {}
    for operation in operations:
        other = taken.setdefault((operation.method, _NAME.sub("{}", operation.path)), operation)
        if other is not operation:
            came = f"{other.method} {other.path} in {other.document or 'another document'}"
            yield Problem(operation.document, f"{operation.method} {operation.path} is described twice: {came}")


def overlaps(operations: Sequence[Operation]) -> Iterator[Problem]:
    """Every pair of templated paths with one method that a request may mean both of, as a warning."""
    templated: dict[tuple[str, int], list[Operation]] = {}
    # In the order of routing; see Router._group_patterns.
    is_foreign = any(each.is_foreign for each in operations)
    for operation in sorted(operations, key=lambda each: _rank(each.path)) if is_foreign else operations:
        if "{" in operation.path:
            group = templated.setdefault((operation.method, operation.path.count("/")), [])
            for earlier in group:
                yield from _overlap(earlier, operation)
            group.append(operation)


def _overlap(earlier: Operation, later: Operation) -> Iterator[Problem]:
    pairs = list(zip(earlier.path.split("/"), later.path.split("/"), strict=True))
    if _NAME.sub("{}", earlier.path) == _NAME.sub("{}", later.path) or not all(_may_meet(*pair) for pair in pairs):
        return
    name = f"{later.method} {later.path}"
    if all(_is_parameter(one) or one == other for one, other in pairs):
        message = f"is never reached: {earlier.path} is described before it and takes all of its paths"
        yield Problem(later.document, f"{name}: {message}", WARNING)
    elif not all(_is_parameter(other) or one == other for one, other in pairs):
        message = f"some paths fit {earlier.path} as well, which is described before it and takes them"
        yield Problem(later.document, f"{name}: {message}", WARNING)


def _is_parameter(segment: str) -> bool:
    return _NAME.fullmatch(segment) is not None


def _may_meet(one: str, other: str) -> bool:
    """Whether some text matches both segments; assumed of two that are partly parameters."""
    if "{" in one and "{" in other:
        return True
    return one == other or bool(_pattern(one).fullmatch(other) if "{" in one else _pattern(other).fullmatch(one))


class MistakenPath(NamedTuple):
    """A path that the client may have meant, if its base URL is wrong."""

    path: str
    named: int
    """How many of its first segments must be literal in the document, and not match a parameter."""
    sentence: str
    """What is wrong, with `{}` for the prefix."""
    prefix: str = ""


def mistaken_base_urls(path: str, prefixes: Sequence[str]) -> Iterator[MistakenPath]:
    """The paths that the client may have meant, the most obvious mistake first."""
    if len(path) > MAX_NAME:
        return
    if "//" in path:
        yield MistakenPath(re.sub("//+", "/", path), 1, "There is a slash too many between your base URL and the path.")
    for prefix in prefixes:
        if f"{path}/".startswith(f"{prefix}{prefix}/"):
            yield MistakenPath(path.removeprefix(prefix), prefix.count("/"), "Your base URL has {} twice.", prefix)
    for prefix in prefixes:
        yield MistakenPath(prefix + path, prefix.count("/") + 1, "Your base URL lacks {}.", prefix)
    for prefix in prefixes:
        if path.startswith(f"{prefix}/"):
            sentence = "Your base URL has {}, which is no part of this path."
            yield MistakenPath(path.removeprefix(prefix), 1, sentence, prefix)


def allowed_methods(methods: Iterable[str]) -> str:
    """The value of `Allow` for a path with these operations."""
    every = {*methods, "OPTIONS"}
    return ", ".join(sorted(every | {"HEAD"} if "GET" in every else every))


def _not_allowed(method: str, path: str, methods: Mapping[str, Operation]) -> RouteNotFound:
    allow = allowed_methods(methods)
    return RouteNotFound(
        Reason.METHOD_NOT_ALLOWED,
        f"{path[:MAX_NAME]} does not answer {method[:MAX_NAME]}; it answers {allow}.",
        next(iter(methods.values())),
        headers=(("Allow", allow),),
    )


def _pattern_of(path: str, methods: Mapping[str, Operation]) -> re.Pattern[str]:
    """The pattern of a path. Of other documents a segment between two others may be empty: its argument is missing.

    Those of the bundled document are few, and compiled at the first request with so many segments.
    """
    if not any(each.is_foreign for each in methods.values()):
        return lazy_pattern(_expression(path))
    return re.compile(re.sub(r"/(\(\?P<\w+>\[\^/\])\+\)(?=/)", r"/\1*)", _expression(path)))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_expression(path))


def _expression(path: str) -> str:
    """The regular expression that matches what a templated path does."""
    parts = _NAME.split(path)
    return "".join(re.escape(part) if n % 2 == 0 else f"(?P<{_group(part)}>[^/]+)" for n, part in enumerate(parts))


def _rank(path: str) -> int:
    """Sorts paths with fewer parameters first: of two that a request may mean, the more concrete one."""
    return sum(2 if _is_parameter(each) else 1 for each in path.split("/") if "{" in each)


def _group(name: str) -> str:
    return "p_" + name.encode().hex()


def _name(group: str) -> str:
    return bytes.fromhex(group[2:]).decode()
