"""The models of AgileCloud, from a fixture."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from mockserver.records import Record

CREATED = 1772323200
"""The creation time of a model whose fixture has none: 1 March 2026."""
MAX_NAME = 256
"""The most characters of a model name that is derived from another or not listed."""

_MONTH, _DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
# gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, gpt-4-0613, gpt-4-1106-preview, gemini-2.0-flash-001.
_SNAPSHOT = re.compile(
    rf"(.+?)-(?:20[0-9]{{2}}-{_MONTH}-{_DAY}|20[0-9]{{2}}{_MONTH}{_DAY}|{_MONTH}{_DAY}(?:-preview)?|00[0-9])"
)
# ft:gpt-4o-mini-2024-07-18:org:suffix:id, of which some parts may be empty; checkpoints have one more.
_FINE_TUNED = re.compile(r"ft:([^:\s]+):[^\s]+")


class ModelKind(StrEnum):
    """The purpose of a model."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    AUDIO = "audio"


class Reasoning(StrEnum):
    """Whether a model reasons before it answers. A reasoning model rejects some parameters."""

    NEVER = "never"
    OPTIONAL = "optional"
    """Only with a `reasoning_effort` other than `none`, which is the default."""
    ALWAYS = "always"


class Model(Record, frozen=True, gc=False):
    """A model under one of its names."""

    id: str
    """The listed or requested name."""
    name: str
    """The model's own name, the same for all of its aliases and snapshots."""
    kind: ModelKind
    owned_by: str = "agilecloud"
    created: int = CREATED
    dimensions: int = 0
    """The length of its vectors; 0 for a chat model."""
    reasoning: Reasoning = Reasoning.NEVER
    unsupported: frozenset[str] = frozenset()
    """Parameters of a chat that it rejects in addition to those that reasoning excludes."""
    has_refusals: bool = False
    """Whether it rejects any parameter that other models accept."""


class Models(Mapping[str, Model]):
    """Models by their ids in lower case, in the order of the list."""

    def __init__(self, listed: Mapping[str, Model], *, accepts_any: bool = False) -> None:
        """With `accepts_any`, names that are not listed are models, too."""
        self._listed = listed
        self._accepts_any = accepts_any

    def __getitem__(self, id_: str) -> Model:
        return self._listed[id_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def find(self, name: str, kind: ModelKind = ModelKind.CHAT) -> Model | None:
        """The model with that name or alias, a dated snapshot of one, or a fine-tuned one; case is ignored.

        `kind` is that of a model that is not listed.
        """
        return self._listed.get(name.lower()) or self._derived(name, kind)

    def _derived(self, name: str, kind: ModelKind) -> Model | None:
        if len(name) > MAX_NAME:
            return None
        lowered = name.lower()
        tuned = _FINE_TUNED.fullmatch(lowered)
        base = tuned[1] if tuned else lowered
        snapshot = _SNAPSHOT.fullmatch(base)
        model = self._listed.get(base) or (self._listed.get(snapshot[1]) if snapshot else None)
        if model is not None:
            return model._replace(id=name)
        return Model(name, name, kind, dimensions=DIMENSIONS[kind]) if self._accepts_any and name else None


DIMENSIONS: Mapping[ModelKind, int] = {ModelKind.CHAT: 0, ModelKind.EMBEDDING: 1536, ModelKind.AUDIO: 0}
"""The length of the vectors of a model that is not listed."""


def read_models(entries: Iterable[Mapping[str, Any]], *, accepts_any: bool = False) -> Models:
    """The models of fixtures. Each alias is a model of its own; of a repeated id the first counts."""
    models: dict[str, Model] = {}
    for entry in entries:
        for id_ in (entry["id"], *entry.get("aliases", ())):
            models.setdefault(id_.lower(), _model(id_, entry))
    return Models(models, accepts_any=accepts_any)


def find_model(models: Models, name: str, kind: ModelKind = ModelKind.CHAT) -> Model | None:
    """The model with that name; see Models.find."""
    return models.find(name, kind)


def model_object(model: Model) -> dict[str, Any]:
    """The response of `GET /v1/models/{id}`."""
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}


def model_list(models: Models) -> dict[str, Any]:
    """The response of `GET /v1/models`."""
    return {"object": "list", "data": [model_object(model) for model in models.values()]}


def _model(id_: str, entry: Mapping[str, Any]) -> Model:
    reasoning, unsupported = Reasoning(entry.get("reasoning", "never")), frozenset(entry.get("unsupported", ()))
    return Model(
        id=id_,
        name=entry["id"],
        kind=ModelKind(entry["kind"]),
        owned_by=entry.get("owned_by", "agilecloud"),
        created=entry.get("created", CREATED),
        dimensions=entry.get("dimensions", 0),
        reasoning=reasoning,
        unsupported=unsupported,
        has_refusals=reasoning is not Reasoning.NEVER or bool(unsupported),
    )
