"""What AgileCloud's live calls and batches ask of the fixtures: models, prices, canned answers."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from xxhash import xxh3_64_intdigest

from mockserver.api.provider import ApiContext, Call
from mockserver.errors import Reason
from mockserver.fixtures.files import Completion
from mockserver.openapi.document import JSON, Operation
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.models import Model, ModelKind, Models, find_model, read_models
from mockserver.providers.agilecloud.pricing import Prices, read_prices
from mockserver.providers.agilecloud.prompts.select import refusal
from mockserver.sandbox.ids import canonical, seed_of

EncodeMessage = TypeVar("EncodeMessage")
Read = TypeVar("Read")
MAX_NAME = 100
_ROLES = {"system": 1, "user": 2, "assistant": 3, "developer": 4, "tool": 5}


class LastValueCache(Generic[EncodeMessage, Read]):
    """Reads a part of the fixtures when it is another one than the last time."""

    def __init__(self, read: Callable[[EncodeMessage], Read]) -> None:
        self._read = read
        self._last: tuple[EncodeMessage, Read] | None = None

    def __call__(self, written: EncodeMessage) -> Read:
        last = self._last
        if last is None or last[0] is not written:
            last = self._last = (written, self._read(written))
        return last[1]


_models: LastValueCache[Sequence[Mapping[str, Any]], Models] = LastValueCache(read_models)
_any_models: LastValueCache[Sequence[Mapping[str, Any]], Models] = LastValueCache(
    partial(read_models, accepts_any=True)
)
_prices: LastValueCache[Mapping[str, Any], Prices] = LastValueCache(read_prices)


def context_models(world: ApiContext) -> Models:
    """The models that the fixtures list; with the setting `any_model`, others are found in it, too."""
    return (_any_models if world.settings.any_model else _models)(world.fixtures.models)


def context_prices(world: ApiContext) -> Prices:
    """The prices that the fixtures tell."""
    return _prices(world.fixtures.prices)


def leaves_blank(call: Call) -> bool:
    """Whether a template's variables without a value are left empty, rather than refused."""
    return (call.sandbox.conditions.missing_variables or call.world.settings.missing_variables) == "blank"


CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
LIVE = {CHAT: "createChatCompletion", EMBEDDINGS: "createEmbedding"}
"""The operation that answers one request to an endpoint of batches."""


def live_operation(world: ApiContext, endpoint: str) -> Operation | None:
    """The operation that answers live what batches answer under that endpoint; None where none is served."""
    return world.operation(LIVE[endpoint]) if endpoint in LIVE else None


def live_schema(world: ApiContext, endpoint: str) -> Schema | None:
    """What the body of a live request to the endpoint is judged by; None where no such request is served."""
    operation = live_operation(world, endpoint)
    content = operation.body.get(JSON) if operation and operation.body else None
    return content.schema if content else None


def is_bundled(world: ApiContext, endpoint: str) -> bool:
    """Whether requests of batches, and live ones to the endpoint, are read as the bundled document says."""
    operation = live_operation(world, endpoint)
    if operation is None or world.changed_defaults(operation.key):
        return False
    return world.served is None or world.served.bundled.name == world.spec.name == operation.document


def known_model(
    world: ApiContext, name: str, location: tuple[str, str] = ("body", "model"), kind: ModelKind = ModelKind.CHAT
) -> Model:
    """The model of that name; raises Refusal when there is none. `kind` is that of a model that is not listed."""
    model = find_model(context_models(world), name, kind)
    if model is None:
        raise refusal(Reason.NOT_FOUND, location, "model_not_found", f"Model '{name[:MAX_NAME]}' not found.")
    return model


def require_model(world: ApiContext, name: str, kind: ModelKind) -> Model:
    """The model of that name, which is of that kind; raises Refusal."""
    model = context_models(world).find(name, kind) or known_model(world, name)
    if model.kind is not kind:
        message = f"Model '{model.id}' is for {model.kind}, and this request is for {kind}."
        raise refusal(Reason.INVALID, ("body", "model"), "invalid_value", message)
    return model


def canned_answer(world: ApiContext, asked: str, model: Model) -> Completion | None:
    """The canned completion for the user's last message. A fixture may name the model by this id or by its own name."""
    found = world.fixtures.completion(asked, model.id, None)
    return found if found or model.id == model.name else world.fixtures.completion(asked, model.name, None)


def answer_key(world: ApiContext, model: Model, messages: Sequence[Mapping[str, Any]]) -> bytes:
    """What the text of an answer follows from, live and in batches: the seed, the model, the messages."""
    seed = model_seed(world.settings.seed, model.name)
    for message in messages:
        seed = extend_seed(seed, message)
    return conversation_key(seed)


@lru_cache(maxsize=128)
def model_seed(seed: str, model: str) -> int:
    """What the keys of a model's answers begin with; the model's own name counts, whatever alias it is asked by."""
    return seed_of(seed.encode(), model.encode())


def extend_seed(seed: int, message: Mapping[str, Any]) -> int:
    """The seed of a conversation that goes on with a message."""
    if len(message) == 2 and isinstance(content := message.get("content"), str):
        return xxh3_64_intdigest(content.encode(), seed + _ROLES.get(message["role"], 0))
    return xxh3_64_intdigest(canonical(message), seed)


def conversation_key(seed: int) -> bytes:
    """The key that a conversation's seed is in the end (8 bytes)."""
    return seed.to_bytes(8, "little")
