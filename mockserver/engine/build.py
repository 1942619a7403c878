"""Put an engine together: documents, fixtures, providers and the store, as the settings ask."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mockserver.api.provider import ApiContext, BoundOperation, Provider
from mockserver.engine.engine import Engine
from mockserver.errors import FixtureError, SpecError
from mockserver.fixtures.files import SCHEMA_FILE, Fixtures, read_fixtures
from mockserver.openapi.document import OpenApiDocument, Operation, read_openapi
from mockserver.openapi.files import read_document
from mockserver.openapi.schema import Schema
from mockserver.openapi.strict import closed
from mockserver.redaction import account_key
from mockserver.sandbox.accounts import DEFAULT_CREDITS, AccountSpec, facts_of
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.clock import ClockConfig
from mockserver.sandbox.manager import SandboxManager
from mockserver.sandbox.sandbox import SandboxDefaults
from mockserver.settings.parse import read_clock, read_progression
from mockserver.settings.table import Settings
from mockserver.stores import open_store

if TYPE_CHECKING:
    from mockserver.fixtures.scenarios import ScenarioSet

PROVIDER_GROUP = "mockserver.providers"

_log = logging.getLogger("mockserver")


def build_engine(settings: Settings) -> Engine:
    """An engine ready to answer; raises SpecError, FixtureError or SettingsError when it cannot be had."""
    providers = find_providers()
    specs = [load_bundled_spec(settings, providers), *(load_extra_spec(path, settings) for path in settings.spec)]
    fixtures = {provider.name: load_fixtures(settings, provider.name) for provider in providers}
    fixtures[""] = load_fixtures(settings, "")
    for problem in handler_problems(providers, specs):
        raise SpecError(problem)
    services = [service for spec in specs for service in bind_operations(spec, providers, fixtures, settings)]
    sandboxes = SandboxManager(
        open_store(),
        _sandbox_defaults(settings, fixtures, providers),
        limit=settings.max_sandboxes,
        journal_bytes=settings.journal_bytes,
        when_evicted=_log_evictions,
    )
    engine = Engine(services, sandboxes, settings, lambda: _load_scenarios(settings, services))
    if settings.fixtures:
        _ = engine.scenarios  # or a bad one would be told only when it is applied
    return engine


def _load_scenarios(settings: Settings, services: Sequence[BoundOperation]) -> "ScenarioSet":
    from mockserver.engine.scenarios import load_scenarios  # noqa: PLC0415  ours are known to be good, and no start waits for them

    return load_scenarios(fixture_folders(settings), services)


def find_providers() -> list[Provider]:
    """Every installed provider, ours and strangers' alike."""
    return [entry.load() for entry in entry_points(group=PROVIDER_GROUP)]


def bundled_path(name: str) -> Path:
    """A file or folder that comes with mockserver: inside the wheel, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "_data" / name
    return inside if inside.exists() else package.parent / name


def fixture_folders(settings: Settings) -> list[Path]:
    """The folders of fixtures, in the order in which they are asked."""
    return [*map(Path, settings.fixtures), bundled_path("fixtures")]


@cache
def fixture_schema() -> Schema:
    """What a fixture file may say."""
    definition = read_document(bundled_path("fixtures") / SCHEMA_FILE, FixtureError)
    return Schema(definition, definition)


def load_fixtures(settings: Settings, provider: str) -> Fixtures:
    """The provider's fixtures from all folders."""
    return read_fixtures(fixture_folders(settings), provider, fixture_schema())


def load_bundled_spec(settings: Settings, providers: Sequence[Provider]) -> OpenApiDocument:
    """The bundled document as it will be enforced."""
    path = bundled_path("openapi.yaml")
    document: dict[str, Any] = read_document(path, SpecError)
    for provider in providers:
        if provider.adapt:
            provider.adapt(document, settings)
    return _apply_strict(OpenApiDocument(document, str(path)), settings)


def load_extra_spec(path: str, settings: Settings) -> OpenApiDocument:
    """A document served beside ours, as it will be enforced."""
    return _apply_strict(read_openapi(Path(path)), settings)


def bind_operations(
    spec: OpenApiDocument, providers: Sequence[Provider], fixtures: Mapping[str, Fixtures], settings: Settings
) -> Iterator[BoundOperation]:
    """A document's operations with what answers them; `fixtures` are those of each provider, and `""` of nobody's."""
    by_tag = {provider.tag: provider for provider in providers}
    for operation in spec.operations:
        owner = by_tag.get(operation.tag)
        if owner is None:
            yield BoundOperation(operation, ApiContext(spec, fixtures[""], settings), None, None, None)
        else:
            world = ApiContext(spec, fixtures[owner.name], settings)
            handler, check = _find_registered(owner.handlers, operation), _find_registered(owner.checkers, operation)
            yield BoundOperation(operation, world, owner, handler, check)


def _apply_strict(spec: OpenApiDocument, settings: Settings) -> OpenApiDocument:
    return OpenApiDocument(closed(spec.document, spec.name), spec.name) if settings.strict else spec


def handler_problems(providers: Sequence[Provider], specs: Sequence[OpenApiDocument]) -> Iterator[str]:
    """Every operation that a provider handles and no document has, a line each."""
    for provider in providers:
        tagged = [(spec, each) for spec in specs for each in spec.operations if each.tag == provider.tag]
        known = {name for _, each in tagged for name in (each.key, f"{each.method} {each.path}")}
        for key in (*provider.handlers, *provider.checkers):
            if key not in known:
                names = ", ".join(spec.name for spec in specs)
                yield (
                    f"{names}: provider {provider.name!r} handles {key!r}; "
                    f"no operation with the tag {provider.tag!r} has that name"
                )


Registered = TypeVar("Registered")


def _find_registered(table: Mapping[str, Registered], operation: Operation) -> Registered | None:
    """What stands in the table under the operationId, else under `POST /path`."""
    return table.get(operation.key) or table.get(f"{operation.method} {operation.path}")


def _sandbox_defaults(
    settings: Settings, fixtures: Mapping[str, Fixtures], providers: Sequence[Provider]
) -> SandboxDefaults:
    known: dict[str, AccountSpec] = {}
    for each in fixtures.values():
        known |= {account_key(account["token"]): _account(account) for account in each.accounts}
    apis = {name: of for name, of in fixtures.items() if name}
    closed = {
        name: frozenset(account_key(each["token"]) for each in of.accounts) for name, of in apis.items() if of.closed
    }
    if closed.keys() == apis.keys():
        closed[""] = frozenset().union(*closed.values())
    return SandboxDefaults(
        seed=settings.seed,
        clock=ClockConfig(*read_clock(settings.clock)),
        progression=Progression(*read_progression(settings.progression)),
        accounts=known,
        closed=closed,
        journal_size=settings.journal_size,
        dated=("batches", *(name for each in providers for name in each.dated)),
    )


def _log_evictions(count: int) -> None:
    """Say so each time their number has doubled: the first is news, the thousandth is not."""
    if count.bit_count() == 1:
        _log.warning(
            "%d idle sandbox%s forgotten to make room (setting --max-sandboxes); GET /__admin/sandboxes counts them",
            count,
            " was" if count == 1 else "es were",
        )


def _account(entry: Mapping[str, Any]) -> AccountSpec:
    return facts_of(
        entry["token"], entry.get("email"), entry.get("credits", DEFAULT_CREDITS), entry.get("revoked", False)
    )
