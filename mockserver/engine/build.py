"""Builds an engine from settings: documents, fixtures, providers and the store."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mockserver.api.call import ApiContext, Call, Served, call_with_defaults
from mockserver.api.provider import BoundOperation, Provider
from mockserver.engine.engine import Engine
from mockserver.errors import WARNING, FixtureError, Problem, SpecError
from mockserver.fixtures.files import SCHEMA_FILE, Fixtures, read_fixtures
from mockserver.lazy import lazy_module
from mockserver.openapi.document import OpenApiDocument, Operation, read_openapi, read_repaired_openapi
from mockserver.openapi.files import is_url, read_document
from mockserver.openapi.replacement import PARTIAL, Needs, find_replaced, remaining, replace_bundled
from mockserver.openapi.schema import Schema
from mockserver.redaction import account_key
from mockserver.sandbox.accounts import DEFAULT_CREDITS, AccountSpec, facts_of
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.clock import ClockConfig
from mockserver.sandbox.ids import digest
from mockserver.sandbox.manager import SandboxManager
from mockserver.sandbox.sandbox import SandboxDefaults
from mockserver.settings.declarations import PROVIDER_GROUP
from mockserver.settings.entry_points import entry_points
from mockserver.settings.parse import read_clock, read_progression, read_store
from mockserver.settings.table import Settings
from mockserver.stores import open_store

if TYPE_CHECKING:
    from mockserver.engine import recorded, scenarios, sent_requests
    from mockserver.engine.stateful import handlers as stateful
    from mockserver.fixtures.scenarios import ScenarioSet
    from mockserver.openapi import strict
    from mockserver.openapi.loading import overlay
    from mockserver.sandbox.shared import opening
else:
    strict = lazy_module("mockserver.openapi.strict")
    overlay = lazy_module("mockserver.openapi.loading.overlay")
    opening = lazy_module("mockserver.sandbox.shared.opening")
    sent_requests = lazy_module("mockserver.engine.sent_requests")
    recorded = lazy_module("mockserver.engine.recorded")
    scenarios = lazy_module("mockserver.engine.scenarios")
    stateful = lazy_module("mockserver.engine.stateful.handlers")

Answer = TypeVar("Answer")

_log = logging.getLogger("mockserver")


def build_engine(settings: Settings, *, before: Engine | None = None) -> Engine:
    """An engine ready to answer. Raises SpecError, FixtureError or SettingsError.

    It takes over the sandboxes, the counts and the workers of the one `before`.
    """
    providers = find_providers()
    bundled = load_bundled_spec(settings, providers)
    own = [load_extra_spec(path, settings, providers, bundled) for path in provider_documents(providers)]
    named = [load_extra_spec(path, settings, providers, bundled) for path in settings.spec]
    others = [*own, *named]
    for problem in (problem for spec in named for problem in spec.problems):
        _log.warning("%s", problem)
    specs = served_specs(bundled, own, named, with_bundled=settings.with_bundled)
    _warn_of_unmatched(specs)
    fixtures = {provider.name: load_fixtures(settings, provider.name) for provider in providers}
    fixtures[""] = load_fixtures(settings, "")
    for problem in handler_problems(providers, [bundled, *others]):
        raise SpecError(problem.message, problem.place)
    services = bind_operations(specs, bundled, providers, fixtures, settings)
    defaults = _sandbox_defaults(settings, fixtures, providers)
    sandboxes = before.sandboxes if before is not None else _sandbox_manager(settings, defaults, providers)
    engine = Engine(services, sandboxes, settings, lambda: _load_scenarios(settings, services))
    engine.files = tuple(file for spec in named for file in spec.files)
    if settings.fixtures:
        _ = engine.scenarios  # read now, so that an invalid one is reported at start
    if before is not None:
        sandboxes.change_defaults(defaults)
        engine.met, engine.demanded, engine.workers = before.met, before.demanded, before.workers
    return engine


def _sandbox_manager(settings: Settings, defaults: SandboxDefaults, providers: Sequence[Provider]) -> SandboxManager:
    """The sandboxes, in the store that the settings name; raises SettingsError or StoreError."""
    options: dict[str, Any] = {
        "limit": settings.max_sandboxes,
        "journal_bytes": settings.journal_bytes,
        "batch_bytes": settings.batch_bytes,
        "when_evicted": _log_evictions,
    }
    address = read_store(settings.store)
    if address.kind == "memory":
        return SandboxManager(open_store(), defaults, **options)
    declared = {name: type_ for each in providers if each.collections for name, type_ in each.collections().items()}
    store = opening.open_shared_store(address, declared)
    shaping = {
        "seed": settings.seed,
        "fixtures": _files_digest(settings.fixtures),
        "documents": _files_digest(settings.spec),
    }
    return opening.open_shared_sandboxes(store, defaults, shaping, is_forced=settings.store_force, **options)


def _files_digest(paths: Sequence[str]) -> str:
    """A digest of files, and of all files in folders."""
    marks = []
    for path in map(Path, paths):
        files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        marks += [digest(each.name.encode(), each.read_bytes()) for each in files]
    return digest(*marks).hex()


def _load_scenarios(settings: Settings, services: Sequence[BoundOperation]) -> "ScenarioSet":
    return scenarios.load_scenarios(fixture_folders(settings), services)


def find_providers() -> list[Provider]:
    """All installed providers, by entry point."""
    return [entry.load() for entry in entry_points(PROVIDER_GROUP)]


def bundled_path(name: str) -> Path:
    """The path of a bundled file or folder: inside the wheel, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "_data" / name
    return inside if inside.exists() else package.parent / name


def fixture_folders(settings: Settings) -> list[Path]:
    """The folders of fixtures, in order of precedence."""
    return [*map(Path, settings.fixtures), bundled_path("fixtures")]


@cache
def fixture_schema() -> Schema:
    """The JSON Schema of a fixture file."""
    definition = read_document(bundled_path("fixtures") / SCHEMA_FILE, FixtureError)
    for provider in find_providers():
        definition["properties"] = {**provider.fixture_sections, **definition["properties"]}
    return Schema(definition, definition)


def load_fixtures(settings: Settings, provider: str) -> Fixtures:
    """The provider's fixtures from all folders."""
    return read_fixtures(fixture_folders(settings), provider, fixture_schema())


def load_bundled_spec(settings: Settings, providers: Sequence[Provider]) -> OpenApiDocument:
    """The bundled document, with the changes that settings require."""
    path = bundled_path("openapi.yaml")
    document: dict[str, Any] = read_document(path, SpecError)
    for provider in providers:
        if provider.patch_document:
            provider.patch_document(document, settings)
    return _apply_strict(_apply_overlays(OpenApiDocument(document, str(path)), settings), settings)


def _apply_overlays(spec: OpenApiDocument, settings: Settings) -> OpenApiDocument:
    """The document as the overlays change it; raises SpecError."""
    if not settings.overlay:
        return spec
    document: Any = deepcopy(spec.document)
    unmatched = [
        f"{file}: the target {target}"
        for file in settings.overlay
        for target in overlay.apply_overlay(document, Path(file))
    ]
    changed = OpenApiDocument(document, spec.name, is_lenient=spec.is_lenient, is_foreign=spec.is_foreign)
    changed.check_schemas()
    changed.problems, changed.files, changed.unmatched = spec.problems, spec.files, tuple(unmatched)
    return changed


def _warn_of_unmatched(specs: Sequence[OpenApiDocument]) -> None:
    """Warn of targets of overlays that match nothing in any document that is served."""
    for said in dict.fromkeys(each for spec in specs for each in spec.unmatched):
        if all(said in spec.unmatched for spec in specs):
            _log.warning("%s matches nothing in the document", said)


def provider_documents(providers: Sequence[Provider]) -> list[str]:
    """The documents that providers bring along."""
    return [str(each.document) for each in providers if each.document]


def load_extra_spec(
    path: str, settings: Settings, providers: Sequence[Provider], bundled: OpenApiDocument, *, only_sound: bool = False
) -> OpenApiDocument:
    """A document served beside the bundled one, or instead of it, as it is enforced; raises SpecError.

    What has a mistake is left out, and is a warning among its `problems`, unless `strict_spec` is set or the document
    replaces bundled operations. With `only_sound`, operations with mistakes are left out in any case.
    """
    tags = {each.tag for each in providers}
    if is_url(path) and not settings.fetch:
        raise SpecError("it is a URL, which is only read with --fetch", path)
    place = path if is_url(path) else Path(path)
    if settings.strict_spec or only_sound:
        spec = read_openapi(place, only_sound=only_sound)
    else:
        spec = read_repaired_openapi(place)
    spec = _apply_overlays(spec, settings)
    if not find_replaced(spec, bundled, tags):
        served = _apply_strict(spec, settings)
        served.files, served.unmatched = spec.files, spec.unmatched
        return served
    if any(each.severity == WARNING for each in spec.problems) and not only_sound:
        spec = read_openapi(place)  # raises: handlers rely on a document without mistakes
    document = dict(spec.document)
    for provider in providers:
        if provider.patch_document:
            provider.patch_document(document, settings)
    patched = _apply_strict(OpenApiDocument(document, spec.name), settings)
    served = replace_bundled(patched, bundled, tags, only_sound=only_sound)
    served.files, served.unmatched = spec.files, spec.unmatched
    return served


def served_specs(
    bundled: OpenApiDocument,
    own: Sequence[OpenApiDocument],
    named: Sequence[OpenApiDocument] = (),
    *,
    with_bundled: bool = False,
) -> list[OpenApiDocument]:
    """The documents that are served together. `own` are those of providers, `named` those of the settings.

    With named documents, the bundled one and those of providers are not served, unless a named one replaces a part of
    the bundled one.
    """
    replaces = any(each.replaces for spec in named for each in spec.operations)
    if named and not with_bundled and not replaces:
        return [*named]
    others = [*own, *named]
    left = remaining(bundled, others) if others else bundled
    if left is not bundled:
        served = {each.key for spec in others for each in spec.operations}
        lost = [f"{each.method} {each.path}" for each in bundled.operations if each.key not in served]
        lost = [each for each in lost if left is None or each not in left.by_key]
        if lost:
            _log.warning("not served, because documents leave it out (%s: true keeps it): %s", PARTIAL, ", ".join(lost))
    return [*([left] if left is not None else []), *others]


def bind_operations(
    specs: Sequence[OpenApiDocument],
    bundled: OpenApiDocument,
    providers: Sequence[Provider],
    fixtures: Mapping[str, Fixtures],
    settings: Settings,
) -> list[BoundOperation]:
    """All operations with their providers and handlers; `fixtures` are by provider name, `""` holds those of no
    provider.
    """
    by_tag = {provider.tag: provider for provider in providers}
    operations: dict[str, Operation] = {}
    for spec in specs:
        operations = {**spec.by_key, **operations}
    changed: dict[str, Mapping[str, Any]] = {}
    served = Served(bundled, Needs(bundled), operations, changed)
    services = []
    for spec in specs:
        resources = stateful.stateful_handlers(spec.operations) if settings.stateful and spec.is_foreign else {}
        for operation in spec.operations:
            owner = by_tag.get(operation.tag)
            world = ApiContext(spec, fixtures[owner.name if owner else ""], settings, served)
            if owner is None:
                handler = resources.get(operation)
                if operation.callbacks:
                    handler = partial(sent_requests.answer_with_callbacks, handler)
                services.append(BoundOperation(operation, world, None, handler, None))
                continue
            handler, check = _find_registered(owner.handlers, operation), _find_registered(owner.checkers, operation)
            defaults = _changed_defaults(operation, owner) if handler else {}
            if handler is not None and defaults:
                changed[operation.key] = defaults
                handler, check = _defaulting(handler, defaults), check and _defaulting(check, defaults)
            services.append(BoundOperation(operation, world, owner, handler, check))
    return recorded.with_replays(services) if any(each.recorded for each in fixtures.values()) else services


def _changed_defaults(operation: Operation, owner: Provider) -> Mapping[str, Any]:
    known, absent = owner.defaults.get(operation.key, {}), object()
    return {name: each for name, each in operation.defaults.items() if known.get(name, absent) != each}


def _defaulting(answer: Callable[[Call], Answer], defaults: Mapping[str, Any]) -> Callable[[Call], Answer]:
    return lambda call: answer(call_with_defaults(call, defaults))


def _apply_strict(spec: OpenApiDocument, settings: Settings) -> OpenApiDocument:
    if not settings.strict:
        return spec
    closed = OpenApiDocument(strict.closed(spec.document, spec.name), spec.name, is_foreign=spec.is_foreign)
    closed.problems, closed.unmatched = spec.problems, spec.unmatched
    return closed


def handler_problems(providers: Sequence[Provider], specs: Sequence[OpenApiDocument]) -> Iterator[Problem]:
    """Every operation that a provider handles and no document has."""
    for provider in providers:
        tagged = [(spec, each) for spec in specs for each in spec.operations if each.tag == provider.tag]
        known = {name for _, each in tagged for name in (each.key, f"{each.method} {each.path}")}
        for key in (*provider.handlers, *provider.checkers):
            if key not in known:
                names = ", ".join(spec.name for spec in specs)
                wanted = f"no operation with the tag {provider.tag!r} has that name"
                yield Problem(names, f"provider {provider.name!r} handles {key!r}; {wanted}")


Registered = TypeVar("Registered")


def _find_registered(table: Mapping[str, Registered], operation: Operation) -> Registered | None:
    """The entry for the operationId, else for `POST /path`."""
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
    """Logs an eviction each time the count has doubled, so that the log stays short."""
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
