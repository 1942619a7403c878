"""A faster implementation for plain batch lines, which most batches consist of.

A plain line is a chat request with text messages, a few parameters (_FREE), and no canned completion. The
general path (run.py) parses it, validates it twice (as a line, and as a live request), searches the fixtures, and
builds a completion object that is then encoded. Here one schema accepts line and request together, with a pattern that
excludes every text a fixture could match, and the completion is written into a pre-encoded template for its model.

Its output is byte for byte that of the general path, at half the cost. `accepts` may reject and `answered` may return
None at any time; the line then takes the general path, which also reports all errors. A test compares both paths.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mockserver.api.call import ApiContext
from mockserver.fixtures.files import Completion
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.chat.completion import completion_template
from mockserver.providers.agilecloud.chat.text import generated_text, topic_of
from mockserver.providers.agilecloud.chat.tokens import MESSAGE, REPLY
from mockserver.providers.agilecloud.context import CHAT, conversation_key, extend_seed, live_schema, model_seed
from mockserver.providers.agilecloud.models import Model, ModelKind, Models, find_model
from mockserver.providers.agilecloud.pricing import Prices
from mockserver.providers.agilecloud.usage import EventWriter, UsageTotal

_FREE = ("model", "temperature", "top_p", "seed", "max_tokens", "max_completion_tokens")
"""The optional fields of a plain request, with their schemas in the document."""
_UNESCAPED = r"^[-A-Za-z0-9_.:/@#=+ ]*$"
"""Ids that JSON encodes unchanged."""
MAX_FRAMES = 256
"""The most model names per batch on the fast path: of fine-tuned models, each line may name another."""
MAX_NEEDLES = 10_000
"""The most characters of `contains` texts that are searched in every message; compiling more takes too long."""


class _Frame:
    """The shared parts of the responses of one model name, and their sums."""

    def __init__(self, name: str, model: Model, seed: str, prices: Prices, events: EventWriter) -> None:
        self.model = model
        self.parts = completion_template(name)
        self.seed = model_seed(seed, model.name)
        self.tariff = prices.tariff(model, batch=True)
        self.note = events.of_model(model.name).note
        self.requests = self.prompt = self.said = self.cost = 0


class FastPath:
    """Validates and answers plain lines; see the module."""

    def __init__(self, world: ApiContext, models: Models, prices: Prices, created: int, events: EventWriter) -> None:
        """`created` is the time in the responses, in Unix seconds."""
        self._events = events
        self._world = world
        self._models = models
        self._prices = prices
        self._created = created
        self._frames: dict[str, _Frame] = {}
        completions = world.fixtures.completions
        # Entries with `contains` are part of the schema of `accepts`.
        others = [each.match for each in completions if each.match.contains is None]
        self._canned = {each.prompt for each in others if each.prompt is not None}
        self._lengths = {len(prompt) for prompt in self._canned}
        self._searches = [each.pattern.found_in for each in others if each.prompt is None and each.pattern is not None]
        self._answers_all = any(each.prompt is None and each.pattern is None for each in others)
        self._schema = _compile_validator(live_schema(world, CHAT), completions)

    @property
    def accepts(self) -> Callable[[Any], bool]:
        """Whether a line is plain, and valid as a line and as a live request."""
        return self._schema.fast_accepts

    def answered(self, request: Mapping[str, Any], identity: str) -> bytes | None:
        """The output file's line for an accepted request; None if it is not plain after all.

        Its model exists.
        """
        body = request["body"]
        frame = self._frames.get(body["model"]) or self._framed(body["model"])
        if frame is None or (frame.model.has_refusals and len(body) > 2):
            return None
        messages = body["messages"]
        prompt, asked, seed = "", REPLY, frame.seed
        for message in messages:
            content = message["content"]
            if not content.isascii():
                return None
            seed = extend_seed(seed, message)
            asked += MESSAGE - (-len(content) // 4)
            if message["role"] == "user":
                prompt = content
        if len(prompt) in self._lengths and prompt in self._canned:
            return None
        for search in self._searches:
            if search(prompt):
                return None
        text = generated_text(conversation_key(seed), topic_of(prompt))
        said = -(-len(text) // 4)
        if said > (body.get("max_completion_tokens") or body.get("max_tokens") or said):
            return None
        frame.requests += 1
        frame.prompt += asked
        frame.said += said
        cost = frame.tariff.cost(asked, said)
        frame.cost += cost
        frame.note(request["custom_id"], asked, said, cost)
        one, two, three, four, five, six, seven = frame.parts
        line = (
            f'{{"id":"batch_req_{identity[:24]}","custom_id":"{request["custom_id"]}","response":{{"status_code":200,'
            f'"request_id":"req_{identity[8:]}","body":{one}chatcmpl-{identity}{two}{self._created}{three}"{text}"{four}'
            f'{asked}{five}{said}{six}{asked + said}{seven}}},"error":null}}\n'
        )
        return line.encode()

    def usage(self) -> Iterator[tuple[Model, UsageTotal]]:
        """The sums of the answered lines, by requested model name."""
        for frame in self._frames.values():
            yield frame.model, UsageTotal(frame.requests, frame.prompt, frame.said, frame.cost)

    def _framed(self, name: str) -> _Frame | None:
        model = find_model(self._models, name)
        if model is None or model.kind is not ModelKind.CHAT or self._answers_all or len(self._frames) >= MAX_FRAMES:
            return None
        return self._frames.setdefault(name, _Frame(name, model, self._world.settings.seed, self._prices, self._events))


class _Validators:
    """The schema of plain lines, cached until document or fixtures change: compiling it takes 2 ms."""

    def __init__(self) -> None:
        self._last: tuple[Schema, Sequence[Completion], Schema] | None = None

    def __call__(self, live: Schema | None, completions: Sequence[Completion]) -> Schema:
        assert live is not None, "only where live requests are served as bundled"
        last = self._last
        if last is None or last[0] is not live or last[1] is not completions:
            needles = [each.match.contains for each in completions if each.match.contains is not None]
            last = self._last = (live, completions, Schema(_definition(live, needles), live.document))
        return last[2]


_compile_validator = _Validators()


def _definition(live: Schema, needles: Sequence[str]) -> dict[str, Any]:
    """The schema of a plain line, with the document's schemas of its fields; its texts contain none of the needles.

    References are resolved, since following them at each validation takes twice as long.
    """
    known = live.resolved(live.definition)["properties"]
    # Generated texts are ASCII only.
    content = {"type": "string", "not": _holding_any([needle for needle in needles if needle.isascii()])}
    message = _object({"role": {"enum": ["system", "user", "assistant"]}, "content": content}, 2)
    messages = {"type": "array", "minItems": 1, "items": message}
    body = _object({"messages": messages, **{name: known[name] for name in _FREE}}, 2)
    body["not"] = {"required": ["max_tokens", "max_completion_tokens"]}
    custom_id = {"type": "string", "pattern": _UNESCAPED}
    return _object({"custom_id": custom_id, "method": {"const": "POST"}, "url": {"const": CHAT}, "body": body}, 4)


def _holding_any(needles: Sequence[str]) -> Mapping[str, Any] | bool:
    """A schema of texts that contain one of the needles; of any text if there are too many."""
    if sum(map(len, needles)) > MAX_NEEDLES:
        return True
    return {"pattern": "|".join(map(_any_case, needles))} if needles else False


def _object(properties: Mapping[str, Any], required: int) -> dict[str, Any]:
    """A schema of an object with these properties and no others; the first is required."""
    names = list(properties)[:required]
    return {"type": "object", "properties": dict(properties), "required": names, "additionalProperties": False}


def _any_case(needle: str) -> str:
    """A pattern (ECMA 262) that matches an ASCII text in any case."""
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else _escaped(each) for each in needle)


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "\\^$.*+?()[]{}|/" else character
