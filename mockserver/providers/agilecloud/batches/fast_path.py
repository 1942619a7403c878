"""Answers plain batch lines (plain_lines.py) in groups, byte for byte as the general path (run.py) does.

The general path parses a line, validates it twice (as a line, and as a live request), searches the fixtures, and
builds a completion object that is then encoded. Here the completion is written into a pre-encoded template for its
model, and each step is done for all lines of a group before the next one. A line that a fixture may answer, or whose
answer is cut, gets no answer here; it then takes the general path. A test compares both paths.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from string import ascii_letters, digits
from typing import NamedTuple

from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

from mockserver.api.call import ApiContext
from mockserver.fixtures.files import Completion
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.batches.plain_lines import (
    NO_PARAMETERS,
    PARAMETERS,
    PlainGroup,
    PlainReader,
    PlainRequest,
)
from mockserver.providers.agilecloud.chat.completion import completion_template
from mockserver.providers.agilecloud.chat.text import generated_texts, topic_of
from mockserver.providers.agilecloud.chat.tokens import BYTES, MESSAGE, REPLY, count_tokens
from mockserver.providers.agilecloud.chat.wire import jsonl_bytes
from mockserver.providers.agilecloud.context import (
    CHAT,
    ROLES,
    conversation_key,
    last_value_cache,
    live_schema,
    model_seed,
)
from mockserver.providers.agilecloud.models import Model, ModelKind, Models, find_model
from mockserver.providers.agilecloud.pricing import Prices
from mockserver.providers.agilecloud.usage import EventRow

MAX_FRAMES = 256
"""The most model names per batch on the fast path: of fine-tuned models, each line may name another."""
MAX_NEEDLES = 10_000
"""The most characters of `contains` texts that are searched in every prompt; compiling more takes too long."""
_UNESCAPED = dict.fromkeys(map(ord, f"-_.:/@#=+ {ascii_letters}{digits}"))
"""Removes the characters of ids that JSON encodes unchanged."""


class _Frame:
    """The shared parts of the output lines of one model name."""

    def __init__(self, name: str, model: Model, *, seed: str, created: int, prices: Prices) -> None:
        """`created` is the time in the responses, in Unix seconds."""
        self.model = model
        self.seed = model_seed(seed, model.name)
        self.tariff = prices.tariff(model, batch=True)
        before_id, before_time, before_text, before_asked, before_said, before_total, end = completion_template(name)
        self.parts = (
            f'","body":{before_id}chatcmpl-',
            f'{before_time}{created}{before_text}"',
            f'"{before_asked}',
            before_said,
            before_total,
            f'{end}}},"error":null}}\n',
        )
        """What stands before the id, the text, its end, the three counts, and at the end of the line."""


class PlainAnswers(NamedTuple):
    """The answers to lines that follow one another and name the same model."""

    model: Model
    lines: Sequence[str]
    """The lines of the output file."""
    rows: Sequence[EventRow]
    """What each answer used."""


class FastPath:
    """Answers plain lines; see the module."""

    def __init__(
        self, world: ApiContext, models: Models, prices: Prices, *, created: int, seed: int, applies_markers: bool
    ) -> None:
        """`created` is the time in the responses, in Unix seconds; `seed` is that of the batch's ids."""
        self._seed = seed
        self._models = models
        self._frames: dict[str, _Frame | None] = {}
        self._new_frame = partial(_Frame, seed=world.settings.seed, created=created, prices=prices)
        live = live_schema(world, CHAT)
        assert live is not None, "only where live requests are served as bundled"
        self.reader = PlainReader(_parameters_of(live), applies_markers=applies_markers)
        self._canned = _canned_prompts_of(world.fixtures.completions)

    def answers(self, group: PlainGroup, first: int) -> Iterator[PlainAnswers | int]:
        """The answers to the lines in order; for a line without one, its place in the group, from 0.

        The group's first line is the batch's request number `first`, from 0.
        """
        start = 0
        for name, run in groupby([request.body.model for request in group.requests]):
            stop = start + len(list(run))
            frame = self._frame(name)
            if frame is None:
                yield from range(start, stop)
            else:
                yield from self._answers_of(frame, group, range(start, stop), first)
            start = stop

    def _frame(self, name: str) -> _Frame | None:
        """What the model's lines share; None if they have no answer here."""
        if name not in self._frames and len(self._frames) < MAX_FRAMES:
            model = find_model(self._models, name)
            if model is None or model.kind is not ModelKind.CHAT or self._canned.has_all:
                self._frames[name] = None
            else:
                self._frames[name] = self._new_frame(name, model)
        return self._frames.get(name)

    def _answers_of(self, frame: _Frame, group: PlainGroup, places: range, first: int) -> Iterator[PlainAnswers | int]:
        part = group.part(places.start, places.stop)
        ids = [request.custom_id for request in part.requests]
        prompts, asked, seeds = _conversations(part.requests, frame.seed)
        texts = generated_texts(map(conversation_key, seeds), map(topic_of, prompts))
        said = list(map(count_tokens, texts))
        rows = list(zip(ids, asked, said, frame.tariff.costs(asked, said), strict=True))
        numbers = range(first + places.start, first + places.stop)
        identities = [xxh3_128_hexdigest(b"%d" % number, self._seed) for number in numbers]
        before_id, before_text, one, two, three, end = frame.parts
        lines = [
            f'{{"id":"batch_req_{identity[:24]}","custom_id":"{id_}","response":{{"status_code":200,"request_id":'
            f'"req_{identity[8:]}{before_id}{identity}{before_text}{text}{one}{asked_}{two}{said_}{three}'
            f"{asked_ + said_}{end}"
            for identity, id_, text, asked_, said_ in zip(
                identities, _encoded_ids(ids), texts, asked, said, strict=True
            )
        ]
        start = 0
        for at in self._unanswered(frame, part.limits, prompts, said):
            if start < at:
                yield PlainAnswers(frame.model, lines[start:at], rows[start:at])
            yield places[at]
            start = at + 1
        if start < len(lines):
            yield PlainAnswers(frame.model, lines[start:], rows[start:])

    def _unanswered(
        self, frame: _Frame, limits: Sequence[int], prompts: Sequence[str], said: Sequence[int]
    ) -> Sequence[int]:
        """The places of the requests whose answer may be another one, or has to be cut."""
        found = set(self._canned.places(prompts))
        if max(limits) != NO_PARAMETERS:
            found.update(at for at, limit in enumerate(limits) if 0 < limit < said[at])
            if frame.model.has_refusals:
                found.update(at for at, limit in enumerate(limits) if limit != NO_PARAMETERS)
        return sorted(found)


def _conversations(requests: Sequence[PlainRequest], start: int) -> tuple[list[str], list[int], list[int]]:
    """Of each request the last user message, the prompt tokens and the seed; `start` is the model's seed."""
    prompts, counts, seeds = [], [], []
    for request in requests:
        prompt, asked, seed = "", REPLY, start
        for message in request.body.messages:
            content = message.content.encode()
            seed = xxh3_64_intdigest(content, seed + ROLES[message.role])
            asked += MESSAGE - (-len(content) // BYTES)
            if message.role == "user":
                prompt = message.content
        prompts.append(prompt)
        counts.append(asked)
        seeds.append(seed)
    return prompts, counts, seeds


def _encoded_ids(ids: Sequence[str]) -> Sequence[str]:
    """The ids as JSON, without their quotes."""
    if not "".join(ids).translate(_UNESCAPED):
        return ids
    return [jsonl_bytes(id_).decode()[1:-1] for id_ in ids]


class _CannedPrompts:
    """Tells which prompts a fixture may answer."""

    def __init__(self, completions: Sequence[Completion]) -> None:
        matches = [each.match for each in completions]
        others = [match for match in matches if match.contains is None]
        self._needles = [match.contains for match in matches if match.contains is not None]
        self._prompts = frozenset(match.prompt for match in others if match.prompt is not None)
        self._lengths = frozenset(map(len, self._prompts))
        patterns = [match.pattern for match in others if match.prompt is None]
        self._searches = [pattern.found_in for pattern in patterns if pattern is not None]
        self.has_all = None in patterns or sum(map(len, self._needles)) > MAX_NEEDLES
        """Whether a fixture may answer any prompt."""
        # A needle with other characters is in no ASCII text.
        needles = [] if self.has_all else [_any_case(needle) for needle in self._needles if needle.isascii()]
        contains = {"pattern": "|".join(needles)} if needles else False
        self._contain_none = Schema({"items": {"not": contains}}, {}).fast_accepts

    def places(self, prompts: Sequence[str]) -> Iterator[int]:
        """The places of prompts that a fixture may answer."""
        # All together first: most prompts contain nothing.
        is_careful = not (all(map(str.isascii, prompts)) and self._contain_none(prompts))
        is_named = not self._lengths.isdisjoint(map(len, prompts))
        for at, prompt in enumerate(prompts) if is_careful or is_named else ():
            if prompt in self._prompts or (is_careful and self._contains(prompt.lower())):
                yield at
        for search in self._searches:
            yield from (at for at, is_found in enumerate(map(search, prompts)) if is_found)

    def _contains(self, lowered: str) -> bool:
        return any(needle in lowered for needle in self._needles)


# Compiling the patterns takes milliseconds, so it is done again only when document or fixtures change.
_canned_prompts_of: Callable[[Sequence[Completion]], _CannedPrompts] = last_value_cache(_CannedPrompts)


def _read_parameters(live: Schema) -> Schema:
    # References are resolved, since following them at each validation takes twice as long.
    known = live.resolved(live.definition)["properties"]
    excluded = {"required": ["max_tokens", "max_completion_tokens"]}
    return Schema({"properties": {name: known[name] for name in PARAMETERS}, "not": excluded}, live.document)


_parameters_of: Callable[[Schema], Schema] = last_value_cache(_read_parameters)
"""The schema of the parameters of a plain request, with their schemas in the document."""


def _any_case(needle: str) -> str:
    """A pattern (ECMA 262) that matches an ASCII text in any case."""
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else _escaped(each) for each in needle)


def _escaped(character: str) -> str:
    return f"\\{character}" if character in "\\^$.*+?()[]{}|/" else character
