"""The models AgileCloud serves, as a fixture lists them, and how they are shown."""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

CREATED = 1772323200
"""When a model appeared whose fixture does not say: 1 March 2026."""
MAX_NAME = 256
"""Characters of a model's name that is derived from another's, or that is not listed at all."""

_MONTH, _DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
# gpt-4o-2024-08-06, claude-3-5-sonnet-20241022, gpt-4-0613, gpt-4-1106-preview, gemini-2.0-flash-001.
_SNAPSHOT = re.compile(
    rf"(.+?)-(?:20[0-9]{{2}}-{_MONTH}-{_DAY}|20[0-9]{{2}}{_MONTH}{_DAY}|{_MONTH}{_DAY}(?:-preview)?|00[0-9])"
)
# ft:gpt-4o-mini-2024-07-18:org:suffix:id, of which some parts may be empty; checkpoints have one more.
_FINE_TUNED = re.compile(r"ft:([^:\s]+):[^\s]+")


class ModelKind(StrEnum):
    """What a model is for."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    AUDIO = "audio"


class Reasoning(StrEnum):
    """Whether a model reasons before it answers. A model that does refuses some parameters."""

    NEVER = "never"
    OPTIONAL = "optional"
    """Only with a `reasoning_effort` other than `none`, which is the default."""
    ALWAYS = "always"


class Model(NamedTuple):
    """A model under one of its names."""

    id: str
    """The name it is listed under, or asked by."""
    name: str
    """The model behind the id; the same for all of its aliases and snapshots."""
    kind: ModelKind
    owned_by: str = "agilecloud"
    created: int = CREATED
    dimensions: int = 0
    """The length of its vectors; 0 for what makes none."""
    reasoning: Reasoning = Reasoning.NEVER
    unsupported: frozenset[str] = frozenset()
    """Parameters of a chat that it refuses, beside those that its reasoning forbids."""
    has_refusals: bool = False
    """Whether it refuses any parameter that other models take."""


class Models(Mapping[str, Model]):
    """Models by their ids in lower case, in the order in which they are listed."""

    def __init__(self, listed: Mapping[str, Model], *, accepts_any: bool = False) -> None:
        """With `accepts_any`, a name that is not listed is a model, too."""
        self._listed = listed
        self._accepts_any = accepts_any

    def __getitem__(self, id_: str) -> Model:
        return self._listed[id_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)

    def find(self, name: str, kind: ModelKind = ModelKind.CHAT) -> Model | None:
        """The model of that name or alias, a dated snapshot of one, or a fine-tuned one; case does not matter.

        `kind` is what a model is for that is not listed.
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
    """The models that fixtures list. Each alias is a model of its own; of a repeated id the first counts."""
    models: dict[str, Model] = {}
    for entry in entries:
        for id_ in (entry["id"], *entry.get("aliases", ())):
            models.setdefault(id_.lower(), _model(id_, entry))
    return Models(models, accepts_any=accepts_any)


def find_model(models: Models, name: str, kind: ModelKind = ModelKind.CHAT) -> Model | None:
    """The model of that name; see Models.find."""
    return models.find(name, kind)


def model_object(model: Model) -> dict[str, Any]:
    """What `GET /v1/models/{id}` shows."""
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}


def model_list(models: Models) -> dict[str, Any]:
    """What `GET /v1/models` shows."""
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
