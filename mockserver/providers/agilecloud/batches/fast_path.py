"""The short way for the lines most batches consist of: words are asked, no fixture fits, words are answered."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mockserver.api.provider import ApiContext
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
"""Fields of a request's body that a plain line may have, as the document defines them; beside the messages."""
_UNESCAPED = r"^[-A-Za-z0-9_.:/@#=+ ]*$"
"""Ids that are written in JSON as they are."""
MAX_FRAMES = 256
"""Names of models that one batch answers the short way: of fine-tuned models, each line may name another."""
MAX_NEEDLES = 10_000
"""So many characters are sought in every message; to get ready for more takes long, and for far more fails."""


class _Frame:
    """What the answers share that one name of a model stands for, and what they came to."""

    def __init__(self, name: str, model: Model, seed: str, prices: Prices, events: EventWriter) -> None:
        self.model = model
        self.parts = completion_template(name)
        self.seed = model_seed(seed, model.name)
        self.tariff = prices.tariff(model, batch=True)
        self.note = events.of_model(model.name).note
        self.requests = self.prompt = self.said = self.cost = 0


class FastPath:
    """Judges and answers plain lines; what it says is what the long way would say, at half the cost.

    A line that it does not accept, or not answer, goes the long way, whatever is to be said of it there.
    """

    def __init__(self, world: ApiContext, models: Models, prices: Prices, created: int, events: EventWriter) -> None:
        """`created` is what answers are dated, in Unix seconds."""
        self._events = events
        self._world = world
        self._models = models
        self._prices = prices
        self._created = created
        self._frames: dict[str, _Frame] = {}
        completions = world.fixtures.completions
        # Those that look for a part of the prompt are among what `accepts` asks.
        others = [each.match for each in completions if each.match.contains is None]
        self._canned = {each.prompt for each in others if each.prompt is not None}
        self._lengths = {len(prompt) for prompt in self._canned}
        self._searches = [each.pattern.found_in for each in others if each.prompt is None and each.pattern is not None]
        self._answers_all = any(each.prompt is None and each.pattern is None for each in others)
        self._schema = _compile_validator(live_schema(world, CHAT), completions)

    @property
    def accepts(self) -> Callable[[Any], bool]:
        """Tells whether a line is plain, and valid as a line and as a live request."""
        return self._schema.fast_accepts

    def answered(self, request: Mapping[str, Any], identity: str) -> bytes | None:
        """The output file's line for a request that was accepted; None for one that is not so plain after all.

        Its model is one that there is.
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

    def trades(self) -> Iterator[tuple[Model, UsageTotal]]:
        """What the lines that were answered came to, by the names under which models were asked for."""
        for frame in self._frames.values():
            yield frame.model, UsageTotal(frame.requests, frame.prompt, frame.said, frame.cost)

    def _framed(self, name: str) -> _Frame | None:
        model = find_model(self._models, name)
        if model is None or model.kind is not ModelKind.CHAT or self._answers_all or len(self._frames) >= MAX_FRAMES:
            return None
        return self._frames.setdefault(name, _Frame(name, model, self._world.settings.seed, self._prices, self._events))


class _Validators:
    """The schema of plain lines, kept until another document or other fixtures come: a judge costs 2 ms to make."""

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
    """What a plain line is, in the document's own words for its fields; no text in it holds one of the needles.

    Made whole, because a judge that is sent from reference to reference takes twice as long.
    """
    known = live.resolved(live.definition)["properties"]
    # Nothing but ASCII is ever found in the texts that are answered here.
    content = {"type": "string", "not": _holding_any([needle for needle in needles if needle.isascii()])}
    message = _object({"role": {"enum": ["system", "user", "assistant"]}, "content": content}, 2)
    messages = {"type": "array", "minItems": 1, "items": message}
    body = _object({"messages": messages, **{name: known[name] for name in _FREE}}, 2)
    body["not"] = {"required": ["max_tokens", "max_completion_tokens"]}
    custom_id = {"type": "string", "pattern": _UNESCAPED}
    return _object({"custom_id": custom_id, "method": {"const": "POST"}, "url": {"const": CHAT}, "body": body}, 4)


def _holding_any(needles: Sequence[str]) -> Mapping[str, Any] | bool:
    """Texts that hold one of the needles; any text where that is too much to look for."""
    if sum(map(len, needles)) > MAX_NEEDLES:
        return True
    return {"pattern": "|".join(map(_any_case, needles))} if needles else False


def _object(properties: Mapping[str, Any], required: int) -> dict[str, Any]:
    """An object of these properties and no others, the first of which it must have."""
    names = list(properties)[:required]
    return {"type": "object", "properties": dict(properties), "required": names, "additionalProperties": False}


def _any_case(needle: str) -> str:
    """A pattern (ECMA 262) for every way of writing an ASCII text."""
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else _escaped(each) for each in needle)


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "\\^$.*+?()[]{}|/" else character
