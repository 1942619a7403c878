"""The short way for the lines most batches consist of: words are asked, no fixture fits, words are answered."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.contract.fixtures import Completion
from mockserver.contract.schema import Schema
from mockserver.contract.spec import Spec
from mockserver.provider import World
from mockserver.providers.agilecloud_answers import completion_frame
from mockserver.providers.agilecloud_inspection import CHAT
from mockserver.providers.agilecloud_models import Model, ModelKind
from mockserver.providers.agilecloud_pricing import Prices, Tariff
from mockserver.providers.agilecloud_streams import line_bytes
from mockserver.providers.agilecloud_texts import fabricated_text, topic_of
from mockserver.providers.agilecloud_tokens import MESSAGE, REPLY
from mockserver.providers.agilecloud_world import key_prefix
from mockserver.state.ids import canonical, digest_after

_FREE = ("model", "temperature", "top_p", "seed", "max_tokens", "max_completion_tokens")
"""Fields of a request's body that a plain line may have, as the document defines them; beside the messages."""
_MARKER = r"\[mock:"


PlainAnswer = tuple[bytes, int, int, int]
"""A line for the output file, the tokens of prompt and completion, and what they cost in nano-dollars."""


class _Frame(NamedTuple):
    """What the answers of one model share."""

    parts: Sequence[str]
    prefix: bytes
    tariff: Tariff


class Plain:
    """Judges and answers plain lines; what it says is what the long way would say, at half the cost.

    A line that it does not accept, or not answer, goes the long way, whatever is to be said of it there.
    """

    def __init__(self, world: World, prices: Prices, created: int) -> None:
        """`created` is what answers are dated, in Unix seconds."""
        self._world = world
        self._prices = prices
        self._created = created
        self._frames: dict[str, _Frame] = {}
        completions = world.fixtures.completions
        self._others = [each.match for each in completions if each.match.contains is None]
        self._schema = _judge(world.spec, completions)

    def accepts(self, request: Any) -> bool:
        """Whether the line is plain, and valid as a line and as a live request."""
        return self._schema.accepts_at_once(request)

    def answered(self, request: Mapping[str, Any], model: Model, identity: str) -> PlainAnswer | None:
        """The answer to a line that was accepted; None for one that is not so plain after all."""
        if model.kind is not ModelKind.CHAT:
            return None
        body = request["body"]
        messages = body["messages"]
        prompt, asked = "", REPLY
        for message in messages:
            content = message["content"]
            if not content.isascii():
                return None
            asked += MESSAGE - (-len(content) // 4)
            if message["role"] == "user":
                prompt = content
        if self._fits(prompt, model.id) or (model.id != model.name and self._fits(prompt, model.name)):
            return None
        parts, prefix, tariff = self._frames.get(body["model"]) or self._framed(body["model"], model)
        text = fabricated_text(digest_after(prefix, canonical(messages)), topic_of(prompt))
        said = -(-len(text) // 4)
        if said > (body.get("max_completion_tokens") or body.get("max_tokens") or said):
            return None
        named = line_bytes(request["custom_id"]).decode()
        line = (
            f'{{"id":"batch_req_{identity[:24]}","custom_id":{named},"response":{{"status_code":200,"request_id":"req_'
            f'{identity[8:]}","body":{parts[0]}chatcmpl-{identity}{parts[1]}{self._created}{parts[2]}"{text}"{parts[3]}'
            f'{asked}{parts[4]}{said}{parts[5]}{asked + said}{parts[6]}}},"error":null}}\n'
        )
        return line.encode(), asked, said, tariff.cost(asked, said)

    def _fits(self, prompt: str, model: str) -> bool:
        """Whether a fixture answers it; those that look for a part of the prompt were asked by `accepts`."""
        for match in self._others:
            # The first half spares most of the calls.
            if (match.prompt is None or match.prompt == prompt) and match.fits(prompt, model, None):
                return True
        return False

    def _framed(self, name: str, model: Model) -> _Frame:
        frame = _Frame(
            completion_frame(name),
            key_prefix(self._world.settings.seed, model.name),
            self._prices.tariff(model, batch=True),
        )
        return self._frames.setdefault(name, frame)


class _Judges:
    """The schema of plain lines, kept until another document or other fixtures come: a judge costs 2 ms to make."""

    def __init__(self) -> None:
        self._last: tuple[Spec, Sequence[Completion], Schema] | None = None

    def __call__(self, spec: Spec, completions: Sequence[Completion]) -> Schema:
        last = self._last
        if last is None or last[0] is not spec or last[1] is not completions:
            needles = [each.match.contains for each in completions if each.match.contains is not None]
            last = self._last = (spec, completions, Schema(_definition(spec.document, needles), spec.document))
        return last[2]


_judge = _Judges()


def _definition(document: Mapping[str, Any], needles: Sequence[str]) -> dict[str, Any]:
    """What a plain line is, in the document's own words for its fields; without markers, and what `needles` say.

    Made whole, because a judge that is sent from reference to reference takes twice as long.
    """
    known = document["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    # Nothing but ASCII is ever found in the texts that are answered here.
    special = "|".join([_MARKER, *(_any_case(needle) for needle in needles if needle.isascii())])
    content = {"type": "string", "not": {"pattern": special}}
    message = _object({"role": {"enum": ["system", "user", "assistant"]}, "content": content}, 2)
    messages = {"type": "array", "minItems": 1, "items": message}
    body = _object({"messages": messages, **{name: known[name] for name in _FREE}}, 2)
    custom_id = {"type": "string", "not": {"pattern": _MARKER}}
    return _object({"custom_id": custom_id, "method": {"const": "POST"}, "url": {"const": CHAT}, "body": body}, 4)


def _object(properties: Mapping[str, Any], required: int) -> dict[str, Any]:
    """An object of these properties and no others, the first of which it must have."""
    names = list(properties)[:required]
    return {"type": "object", "properties": dict(properties), "required": names, "additionalProperties": False}


def _any_case(needle: str) -> str:
    """A pattern (ECMA 262) for every way of writing an ASCII text."""
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else _escaped(each) for each in needle)


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "\\^$.*+?()[]{}|/" else character
