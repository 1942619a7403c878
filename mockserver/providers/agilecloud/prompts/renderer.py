"""Renders prompt templates with minijinja in a process of its own: `python -m` this module.

minijinja counts steps (`Environment.fuel`), but not the memory of a step: `[1] * 10**9`, `x ~ x` forty times, or a
namespace that contains itself take gigabytes, minutes, or crash the process. Here the operating system ends the process
in these cases, and the server (see render_pool) starts another one.

A message is its length in 8 bytes and JSON: `Request` in, `Reply` out.
"""

import re
import signal
import sys
from collections.abc import Mapping
from typing import IO, Any, TypedDict

import minijinja
import orjson

from mockserver.providers.agilecloud.prompts.problems import TOO_MUCH

CPU_SECONDS = 0.5
"""CPU seconds for all templates of a request. Ordinary ones take less than a thousandth."""
MEMORY = 512 * 1024 * 1024
"""The address space of the process, including the interpreter."""
FUEL = 1_000_000
"""The most steps of all templates of a request."""
ORDINARY_FUEL = 50_000
"""Steps within which rendering is cheap; what needs more is tried again, and counts as costly."""
LEAST_FUEL = 10_000
"""The least steps for each of them, however many there are."""
MAX_OUTPUT = 1_000_000
"""The most characters of all rendered texts."""

_BOUNDS = (
    "recursion limit",
    "repeated string is too large",
    "too many elements",
    "maximum recursion limits",
)
_UNKNOWN = {"UnknownFilter", "UnknownTest", "TemplateNotFound", "BadInclude"}


class Request(TypedDict):
    templates: list[str]
    variables: str
    """As JSON: each template gets a copy, since `append` and the like change them."""
    blank: bool
    """Whether a variable without a value is an empty text instead of an error."""
    wants_names: bool
    """Whether to return the names of variables instead of rendering."""


class Reply(TypedDict, total=False):
    texts: list[str]
    """The rendered texts, or the names."""
    kind: str
    """The kind of an error, as in TemplateProblem."""
    is_costly: bool
    """Whether all of it took more than ORDINARY_FUEL, or more than is allowed."""
    message: str
    variable: str


def answer(request: Request) -> Reply:
    """The reply to a request: the texts, or the first error."""
    reply = _answer(request, ORDINARY_FUEL)
    return {**_answer(request, FUEL), "is_costly": True} if reply.get("kind") == "too_much" else reply


def _answer(request: Request, fuel: int) -> Reply:
    templates = request["templates"]
    environment = minijinja.Environment(
        undefined_behavior="lenient" if request["blank"] else "strict",
        fuel=max(min(LEAST_FUEL, fuel), fuel // len(templates)),
        debug=False,
    )
    environment.add_filter("truncate", _truncate)
    environment.add_filter("center", str.center)
    texts: list[str] = []
    size = 0
    for template in templates:
        variables = orjson.loads(request["variables"])
        try:
            if request["wants_names"]:
                texts += _names(environment, template)
                _check_known(environment, template)
                continue
            texts.append(environment.render_str(template, **variables))
        except minijinja.TemplateError as error:
            return _problem(environment, template, variables, error)
        size += len(texts[-1])
        if size > MAX_OUTPUT:
            return {"kind": "too_much", "message": f"The rendered text has more than {MAX_OUTPUT} characters."}
    return {"texts": sorted(set(texts)) if request["wants_names"] else texts}


def _names(environment: minijinja.Environment, template: str) -> set[str]:
    """The variables that a template uses and does not set itself."""
    return environment.undeclared_variables_in_str(template) - set(environment.globals)


def _check_known(environment: minijinja.Environment, template: str) -> None:
    """Raises TemplateError for unknown filters, tests and templates, as far as rendering without variables reaches
    them.
    """
    environment.undefined_behavior = "chainable"
    try:
        environment.render_str(template)
    except minijinja.TemplateError as error:
        if error.kind in _UNKNOWN:
            raise


def _problem(
    environment: minijinja.Environment, template: str, variables: Mapping[str, Any], error: minijinja.TemplateError
) -> Reply:
    detail = error.detail or error.message.removesuffix(f" (in <string>:{error.line})")
    where = f"Line {error.line}: " if error.line else ""
    if error.kind == "OutOfFuel" or any(bound in detail for bound in _BOUNDS):
        return {"kind": "too_much", "message": TOO_MUCH}
    if error.kind in {"TemplateNotFound", "BadInclude"}:
        return {"kind": "unsafe", "message": f"{where}Not allowed in a template: another template."}
    if "insecure" in detail:
        return {"kind": "unsafe", "message": f"{where}Not allowed in a template: {detail}."}
    if error.kind in {"UndefinedError", "UnknownFunction"} or "undefined" in detail:
        start, end = error.range or (0, 0)
        culprit = template.encode()[start:end].decode(errors="replace")
        name = _missing(culprit, sorted(_names(environment, template) - variables.keys()))
        if name:
            return {"kind": "missing_variable", "message": f"Missing variable: '{name}'.", "variable": name}
        if error.kind == "UndefinedError":
            message = f"{where}'{culprit[:100]}' is undefined."
            return {"kind": "missing_variable", "message": message, "variable": ""}
    return {"kind": "syntax", "message": f"{where}{detail[:300]}"}


def _missing(culprit: str, names: list[str]) -> str:
    """The missing variable in the failed part of a template, which minijinja does not name."""
    words = re.findall(r"\w+", culprit)
    named = next((name for name in names if name in words), "")
    sliced = re.fullmatch(r"([A-Za-z_]\w*)\[.*:.*\]", culprit)  # which minijinja does not count as a use
    return named or (sliced[1] if sliced else "") or (names[0] if len(names) == 1 and not culprit.count(".") else "")


def _truncate(text: str, length: int = 255, killwords: bool = False, end: str = "...", leeway: int = 5) -> str:
    """Jinja2's filter; minijinja's takes no positional arguments."""
    if len(text) <= length + leeway:
        return text
    cut = text[: length - len(end)]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end


def read_message(stream: IO[bytes]) -> bytes:
    """The next message; empty at the end of the stream."""
    head = stream.read(8)
    size = int.from_bytes(head)
    body = stream.read(size)
    return body if len(head) == 8 and len(body) == size else b""


def write_message(stream: IO[bytes], body: bytes) -> None:
    """Send a message at once."""
    stream.write(len(body).to_bytes(8) + body)
    stream.flush()


def main() -> None:
    """Answer requests until the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server; when it ends, so does the input
    _limit_memory()
    while request := read_message(sys.stdin.buffer):
        _set_timer(CPU_SECONDS)
        try:
            reply = answer(orjson.loads(request))
        except (MemoryError, RecursionError, minijinja.TemplateError):
            reply = {"kind": "too_much", "message": TOO_MUCH, "is_costly": True}
        body = orjson.dumps(reply)
        _set_timer(0)
        write_message(sys.stdout.buffer, body)


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if most < 0 else min(MEMORY, most), most))


def _set_timer(seconds: float) -> None:
    """End the process after that much CPU time from now; 0 is unlimited."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
