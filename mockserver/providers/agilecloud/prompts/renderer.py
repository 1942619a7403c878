"""A process that renders prompt templates with minijinja, outside the server: `python -m` this module.

minijinja counts steps (`Environment.fuel`), but not what a step makes: `[1] * 10**9`, `x ~ x` forty times, or a
namespace that holds itself take gigabytes, minutes, or the process. Here the system ends the process for that. The
server, which speaks to it through `agilecloud_render_pool`, then starts another one.

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
"""Of computing, for all templates of a request. Ordinary ones take less than a thousandth."""
MEMORY = 512 * 1024 * 1024
"""Address space of the process, the interpreter included."""
FUEL = 1_000_000
"""Steps of all templates of a request."""
LEAST_FUEL = 10_000
"""Steps of one of them, however many there are."""
MAX_OUTPUT = 1_000_000
"""Characters of the rendered texts together."""

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
    """As JSON: each template gets its own, since `append` and the like change them."""
    blank: bool
    """Whether a variable without a value is an empty text, rather than a problem."""
    wants_names: bool
    """Whether to tell the names of variables, and render nothing."""


class Reply(TypedDict, total=False):
    texts: list[str]
    """The rendered texts, or the names."""
    kind: str
    """Of a problem, as of TemplateProblem."""
    message: str
    variable: str


def answer(request: Request) -> Reply:
    """What comes of a request: the texts, or the first problem."""
    templates = request["templates"]
    environment = minijinja.Environment(
        undefined_behavior="lenient" if request["blank"] else "strict",
        fuel=max(LEAST_FUEL, FUEL // len(templates)),
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
    """The variables that a template is not the one to set."""
    return environment.undeclared_variables_in_str(template) - set(environment.globals)


def _check_known(environment: minijinja.Environment, template: str) -> None:
    """Raises TemplateError for unknown filters, tests and templates, as far as they are met without variables."""
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
    """The missing variable that the failed part of a template is about: minijinja does not name it."""
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
    """Answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, whose end ends the input
    _limit_memory()
    while request := read_message(sys.stdin.buffer):
        _set_timer(CPU_SECONDS)
        try:
            reply = answer(orjson.loads(request))
        except (MemoryError, RecursionError, minijinja.TemplateError):
            reply = {"kind": "too_much", "message": TOO_MUCH}
        body = orjson.dumps(reply)
        _set_timer(0)
        write_message(sys.stdout.buffer, body)


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource  # noqa: PLC0415  not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if most < 0 else min(MEMORY, most), most))


def _set_timer(seconds: float) -> None:
    """End the process when it has computed for so long from now; 0 is never."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
