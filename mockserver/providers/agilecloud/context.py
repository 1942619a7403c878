"""What live calls and batches read from the fixtures: models, prices, canned completions."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

from xxhash import xxh3_64_intdigest

from mockserver.api.call import ApiContext, Call
from mockserver.errors import Reason
from mockserver.fixtures.files import Completion
from mockserver.openapi.document import JSON, Operation
from mockserver.openapi.schema import Schema
from mockserver.providers.agilecloud.models import Model, ModelKind, Models, find_model, read_models
from mockserver.providers.agilecloud.pricing import Prices, merged_prices, read_prices
from mockserver.providers.agilecloud.prompts.select import refusal
from mockserver.providers.agilecloud.settings import AgileCloudSettings
from mockserver.sandbox.ids import canonical, seed_of
from mockserver.settings.table import provider_settings

EncodeMessage = TypeVar("EncodeMessage")
Read = TypeVar("Read")
MAX_NAME = 100
ROLES = {"system": 1, "user": 2, "assistant": 3, "developer": 4, "tool": 5}
"""By role, what is added to the seed of a message with only a text."""


class LastValueCache(Generic[EncodeMessage, Read]):
    """Caches a part of the fixtures, parsed, until another one is requested."""

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
_prices: LastValueCache[Sequence[Mapping[str, Any]], Prices] = LastValueCache(
    lambda found: read_prices(merged_prices(found))
)


def _models_of(world: ApiContext) -> Models:
    accepts_any = provider_settings(AgileCloudSettings, world.settings).any_model
    return (_any_models if accepts_any else _models)(world.fixtures.section("models"))


context_models: LastValueCache[ApiContext, Models] = LastValueCache(_models_of)
"""The models of the fixtures; with the setting `any_model`, other names are found, too."""


def context_prices(world: ApiContext) -> Prices:
    """The prices of the fixtures."""
    return _prices(world.fixtures.section("prices"))


def own_settings(call: Call) -> AgileCloudSettings:
    """The provider's settings, as the sandbox's conditions change them."""
    return call.sandbox.conditions.applied_to(provider_settings(AgileCloudSettings, call.world.settings))


def leaves_blank(call: Call) -> bool:
    """Whether a template's variables without a value are left empty instead of rejected."""
    return own_settings(call).missing_variables == "blank"


CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
LIVE = {CHAT: "createChatCompletion", EMBEDDINGS: "createEmbedding"}
"""The operation that answers one request to an endpoint of batches."""


def live_operation(world: ApiContext, endpoint: str) -> Operation | None:
    """The operation whose requests a batch for that endpoint contains; None if it is not served."""
    return world.operation(LIVE[endpoint]) if endpoint in LIVE else None


def live_schema(world: ApiContext, endpoint: str) -> Schema | None:
    """The schema of the body of a live request to the endpoint; None if it is not served."""
    operation = live_operation(world, endpoint)
    content = operation.body.get(JSON) if operation and operation.body else None
    return content.schema if content else None


def is_bundled(world: ApiContext, endpoint: str) -> bool:
    """Whether the bundled document describes the endpoint's requests, live and in batches."""
    operation = live_operation(world, endpoint)
    if operation is None or world.changed_defaults(operation.key):
        return False
    return world.served is None or world.served.bundled.name == world.spec.name == operation.document


def known_model(
    world: ApiContext, name: str, location: tuple[str, str] = ("body", "model"), kind: ModelKind = ModelKind.CHAT
) -> Model:
    """The model with that name; raises Refusal if there is none. `kind` is that of a model that is not listed."""
    model = find_model(context_models(world), name, kind)
    if model is None:
        raise refusal(Reason.NOT_FOUND, location, "model_not_found", f"Model '{name[:MAX_NAME]}' not found.")
    return model


def require_model(world: ApiContext, name: str, kind: ModelKind) -> Model:
    """The model with that name and kind; raises Refusal."""
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
    """The key of a generated text, live and in batches: from the seed, the model and the messages."""
    seed = model_seed(world.settings.seed, model.name)
    for message in messages:
        seed = extend_seed(seed, message)
    return conversation_key(seed)


@lru_cache(maxsize=128)
def model_seed(seed: str, model: str) -> int:
    """The seed of a model's keys. It depends on the model's own name, not on the alias in the request."""
    return seed_of(seed.encode(), model.encode())


def extend_seed(seed: int, message: Mapping[str, Any]) -> int:
    """The seed of a conversation with one more message."""
    if len(message) == 2 and isinstance(content := message.get("content"), str):
        return xxh3_64_intdigest(content.encode(), seed + ROLES.get(message["role"], 0))
    return xxh3_64_intdigest(canonical(message), seed)


def conversation_key(seed: int) -> bytes:
    """The key of a complete conversation's seed (8 bytes)."""
    return seed.to_bytes(8, "little")
