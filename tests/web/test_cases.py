"""The stories in tests/cases, each told twice: to an engine in memory, and to a server over a real socket."""

import http.client
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

import pytest
import yaml
from builders import bytes_of, make_settings, write_json

from mockserver.engine.build import build_engine
from mockserver.engine.engine import Engine
from mockserver.http import Request
from mockserver.openapi.security import read_token
from mockserver.sandbox.sandbox import Sandbox
from mockserver.server.process import ThreadedServer
from mockserver.settings.table import Settings

FOLDER = Path(__file__).parent.parent / "cases"
STEP_KEYS = {"request", "query", "token", "headers", "json", "body", "expect", "save", "advance"}
EXPECT_KEYS = {"status", "type", "json", "not_json", "text", "contains", "headers", "violations", "zip", "lines"}

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Target(NamedTuple):
    """Where a story is told: how a request is sent, and how the clock of the request's sandbox is advanced."""

    send: Callable[[str, str, dict[str, str], bytes], Answer]
    advance: Callable[[float, dict[str, str]], None]


def read_stories() -> Iterator[Any]:
    for path in sorted(FOLDER.glob("*.yaml")):
        for story in yaml.load(path.read_text(encoding="utf-8"), LOADER):
            yield pytest.param(story, id=f"{path.stem}: {story['name']}")


STORIES = list(read_stories())


@pytest.mark.parametrize("story", STORIES)
def test_the_case_files_pass_in_memory(story: dict[str, Any], tmp_path: Path) -> None:
    tell(story, in_memory(settings_of(story, tmp_path)))


@pytest.mark.parametrize("story", STORIES)
def test_the_case_files_pass_over_a_socket(story: dict[str, Any], tmp_path: Path) -> None:
    with over_a_socket(settings_of(story, tmp_path)) as target:
        tell(story, target)


def settings_of(story: dict[str, Any], folder: Path) -> Settings:
    """The story's settings, with its fixture files written to a folder."""
    assert story.keys() <= {"name", "settings", "fixtures", "steps"}, story.keys()
    settings = dict(story.get("settings", {}))
    for name, content in story.get("fixtures", {}).items():
        write_json(folder / name, content)
        settings["fixtures"] = (str(folder),)
    return make_settings(**settings)


def in_memory(settings: Settings) -> Target:
    engine = build_engine(settings)
    return Target(
        lambda method, target, headers, body: handled(engine, method, target, headers, body),
        lambda seconds, headers: sandbox_of(engine, headers).clock.advance(seconds),
    )


def sandbox_of(engine: Engine, headers: dict[str, str]) -> Sandbox:
    request = Request("POST", "/", headers=headers)
    return engine.open_sandbox(request, read_token(request))


def handled(engine: Engine, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    path, _, query = target.partition("?")
    response = engine.handle(Request(method, unquote(path), query, headers, body))
    answered = {name.lower(): value for name, value in response.headers} | {"content-type": response.media_type}
    if engine.settings.debug_headers and response.source:
        answered["x-mock-source"] = response.source
    return Answer(response.status, answered, b"" if method == "HEAD" else bytes_of(response))


@contextmanager
def over_a_socket(settings: Settings) -> Iterator[Target]:
    with ThreadedServer(settings) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

        def send(method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())

        def advance(seconds: float, headers: dict[str, str]) -> None:
            answer = send("POST", "/__admin/clock/advance", headers, json.dumps({"seconds": seconds}).encode())
            assert answer.status == 200, answer

        try:
            yield Target(send, advance)
        finally:
            connection.close()


def tell(story: dict[str, Any], target: Target) -> None:
    saved: dict[str, Any] = {}
    for number, raw in enumerate(story["steps"], 1):
        assert raw.keys() <= STEP_KEYS, raw.keys() - STEP_KEYS
        step = filled(raw, saved)
        headers = headers_of(step)
        if "advance" in step:
            target.advance(step["advance"], headers)
            continue
        method, place = step["request"].split(" ", 1)
        answer = target.send(method, address_of(place, step.get("query")), headers, body_of(step))
        try:
            check(step["expect"], answer)
        except AssertionError as error:
            raise AssertionError(f"step {number} ({step['request']}): {error}\n{answer!r}"[:4000]) from None
        saved |= {name: value_at(answer, path) for name, path in step.get("save", {}).items()}


def filled(value: Any, saved: dict[str, Any]) -> Any:
    """The value with `{{name}}` replaced by what was saved, `{repeat: x, times: n}` by n of x, `{nest: n}` by lists."""
    if isinstance(value, dict):
        if value.keys() == {"repeat", "times"}:
            return filled(value["repeat"], saved) * value["times"]
        if value.keys() == {"nest"}:
            return json.loads("[" * value["nest"] + "]" * value["nest"])
        return {key: filled(each, saved) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, saved) for each in value]
    if isinstance(value, str):
        return re.sub(r"\{\{(\w+)\}\}", lambda found: str(saved[found[1]]), value)
    return value


def headers_of(step: dict[str, Any]) -> dict[str, str]:
    token = step.get("token", "test")
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    if "json" in step:
        headers["content-type"] = "application/json"
    given = {name.lower(): value for name, value in step.get("headers", {}).items()}
    return {name: value for name, value in (headers | given).items() if value is not None}


def address_of(place: str, query: Any) -> str:
    """The request's target; of a whole URL only path and query, for the server is where it is."""
    parts = urlsplit(place)
    text = urlencode([tuple(each) for each in query] if isinstance(query, list) else query) if query else parts.query
    return f"{parts.path}?{text}" if text else parts.path


def body_of(step: dict[str, Any]) -> bytes:
    if "json" in step:
        return json.dumps(step["json"], ensure_ascii=False).encode()
    body = step.get("body", b"")
    return body if isinstance(body, bytes) else body.encode()


def check(expected: dict[str, Any], answer: Answer) -> None:
    assert expected.keys() <= EXPECT_KEYS, expected.keys() - EXPECT_KEYS
    assert answer.status == expected["status"]
    if "type" in expected:
        assert answer.headers.get("content-type", "").partition(";")[0] == expected["type"]
    for name, value in expected.get("headers", {}).items():
        agree(value, answer.headers.get(name.lower()), name)
    if "text" in expected:
        assert answer.body.decode() == expected["text"]
    for part in expected.get("contains", []):
        assert part in answer.body.decode(), f"{part!r} is missing"
    if "json" in expected:
        agree(expected["json"], json.loads(answer.body), "json")
    for name, value in expected.get("not_json", {}).items():
        assert json.loads(answer.body)[name] != value
    if "violations" in expected:
        agree(expected["violations"], json.loads(answer.headers.get("x-mock-violations", "[]")), "violations")
    if "lines" in expected:
        agree(expected["lines"], [json.loads(line) for line in answer.body.splitlines()], "lines")
    if "zip" in expected:
        check_zip(expected["zip"], answer.body)


def check_zip(expected: dict[str, Any], body: bytes) -> None:
    """Exactly these files in this order; a mapping is part of its JSON, a text part of its page."""
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert archive.testzip() is None
    assert archive.namelist() == list(expected)
    for name, content in expected.items():
        text = archive.read(name).decode()
        if isinstance(content, dict):
            agree(content, json.loads(text), name)
        else:
            assert content in text


def agree(expected: Any, came: Any, where: str) -> None:
    """Mappings need what is expected of them, lists are as long; `~` begins a regular expression."""
    if isinstance(expected, dict):
        assert isinstance(came, dict), f"{where}: {came!r}"
        for key, value in expected.items():
            assert key in came, f"{where}.{key} is missing"
            agree(value, came[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert isinstance(came, list), f"{where}: {came!r}"
        assert len(came) == len(expected), f"{where}: {came!r}"
        for n, (one, other) in enumerate(zip(expected, came, strict=True)):
            agree(one, other, f"{where}[{n}]")
    elif isinstance(expected, str) and expected.startswith("~"):
        assert isinstance(came, str), f"{where}: {came!r}"
        assert re.fullmatch(expected[1:], came, re.DOTALL), f"{where}: {came!r}"
    else:
        assert type(came) is type(expected), f"{where}: {came!r}; expected {expected!r}"
        assert came == expected, f"{where}: {came!r}; expected {expected!r}"


def value_at(answer: Answer, path: str) -> Any:
    """A value to use later: `id` of the answer's JSON, `url ~ x(y)z` for a part of it, or for no path all the text."""
    name, _, pattern = path.partition(" ~ ")
    value = json.loads(answer.body)[name] if name else answer.body.decode()
    found = re.search(pattern, value) if pattern else None
    return found[1] if found else value
