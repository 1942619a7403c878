"""The models AgileCloud serves, as a fixture lists them, and how they are shown."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

CREATED = 1772323200
"""When a model appeared whose fixture does not say: 1 March 2026."""


class ModelKind(StrEnum):
    """What a model is for."""

    CHAT = "chat"
    EMBEDDING = "embedding"
    AUDIO = "audio"


class Model(NamedTuple):
    """A model under one of its names."""

    id: str
    """The name it is listed under."""
    name: str
    """The model behind the id; the same for all of its aliases."""
    kind: ModelKind
    owned_by: str = "agilecloud"
    created: int = CREATED
    dimensions: int = 0
    """The length of its vectors; 0 for what makes none."""


Models = Mapping[str, Model]
"""Models by their ids in lower case, in the order in which they are listed."""


def read_models(entries: Iterable[Mapping[str, Any]]) -> Models:
    """The models that fixtures list. Each alias is a model of its own; of a repeated id the first counts."""
    models: dict[str, Model] = {}
    for entry in entries:
        for id_ in (entry["id"], *entry.get("aliases", ())):
            models.setdefault(id_.lower(), _model(id_, entry))
    return models


def find_model(models: Models, name: str) -> Model | None:
    """The model of that name or alias; upper and lower case do not matter."""
    return models.get(name.lower())


def model_object(model: Model) -> dict[str, Any]:
    """What `GET /v1/models/{id}` shows."""
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owned_by}


def model_list(models: Models) -> dict[str, Any]:
    """What `GET /v1/models` shows."""
    return {"object": "list", "data": [model_object(model) for model in models.values()]}


def _model(id_: str, entry: Mapping[str, Any]) -> Model:
    return Model(
        id=id_,
        name=entry["id"],
        kind=ModelKind(entry["kind"]),
        owned_by=entry.get("owned_by", "agilecloud"),
        created=entry.get("created", CREATED),
        dimensions=entry.get("dimensions", 0),
    )
