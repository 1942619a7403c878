"""Admin routes for export and import."""

from collections.abc import Generator, Iterator, Mapping
from functools import partial
from typing import Any

from mockserver.api.call import ApiContext
from mockserver.api.provider import Provider, Reading
from mockserver.engine.engine import Engine
from mockserver.json_bodies import JsonError, check_depth, check_values_in
from mockserver.openapi.schema import Schema
from mockserver.sandbox.batches import Batch
from mockserver.sandbox.blobs import Blob, no_room
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.scenario import parse_conditions
from mockserver.sandbox.snapshot.export import (
    MAX_DOCUMENT,
    Snapshot,
    Snapshots,
    SnapshotState,
    max_document_values,
    restore,
)
from mockserver.sandbox.snapshot.values import SnapshotError
from mockserver.sandbox.stubs.schema import RULE_SCHEMA
from mockserver.stores.memory import MemoryStore
from mockserver.web.admin.call import AdminCall, AdminRefusal, AdminRoute, Step
from mockserver.web.admin.callbacks import callback_json
from mockserver.workers import checkpoint

_CHOICES = {"true": True, "false": False}
_RULE = Schema(RULE_SCHEMA, {})


def export(call: AdminCall) -> Generator[Step, Any, Blob]:
    """The export; `journal=true` includes the exchanges."""
    wanted = call.query.get("journal", "false")
    if wanted not in _CHOICES:
        raise AdminRefusal(400, f"journal is {wanted[:100]!r}; wanted true or false.")
    snapshots = snapshots_of(call.engine)
    # Encoding takes long, and runs outside the transaction.
    taken = yield Step(call.sandbox.name, partial(_take, snapshots, call.sandbox, journal=_CHOICES[wanted]))
    try:
        document = call.keep(snapshots.encode(taken))
    except SnapshotError as error:
        raise AdminRefusal(422, f"The sandbox cannot be exported: {error}.") from error
    if document.size > MAX_DOCUMENT:
        raise AdminRefusal(422, f"The sandbox cannot be exported: there is more than {MAX_DOCUMENT} bytes of it.")
    try:
        check_values_in(document.chunks, document.size, max_document_values(document.size))
    except JsonError as error:
        raise AdminRefusal(422, f"The sandbox cannot be exported: {error}.") from None
    return document


def _take(snapshots: Snapshots, sandbox: Sandbox, *, journal: bool) -> Snapshot:
    with sandbox.transaction:
        return snapshots.snapshot_of(sandbox, journal=journal)


def import_(call: AdminCall) -> Generator[Step, Any, Mapping[str, Any]]:
    """Replace the sandbox's state by an export. An invalid export changes nothing."""
    try:
        snapshot = read_import(call.engine, call.body)
    except SnapshotError as error:
        raise AdminRefusal(422, f"The body cannot be imported: {error}.") from error
    except OSError as problem:
        raise AdminRefusal(507, no_room(problem).detail) from None
    call.engine.sandboxes.check_room_to_pin(call.sandbox.name)
    yield Step(call.sandbox.name, partial(_restore, call, snapshot))
    counts = {name.rpartition(".")[2]: len(rows) for name, rows in snapshot.collections.items()}
    kept = None if snapshot.exchanges is None else len(snapshot.exchanges)
    return {"name": call.sandbox.shown_name, "from": snapshot.state.name, "restored": {**counts, "exchanges": kept}}


def _restore(call: AdminCall, snapshot: Snapshot) -> None:
    sandbox = call.engine.sandboxes.open(call.sandbox.name, by_token=call.sandbox.is_named_by_token)
    with sandbox.transaction:
        restore(sandbox, snapshot)
        sandbox.is_set_up = True
        call.engine.settle(sandbox)


ROUTES = (
    AdminRoute("GET", "/export", export, parameters=frozenset({"journal"}), is_large=True, in_steps=True, grows=True),
    AdminRoute("POST", "/import", import_, Schema({"type": "object"}, {}), opens=False, is_large=True, in_steps=True),
)


def snapshots_of(engine: Engine) -> Snapshots:
    """The snapshot codec for this server's providers."""
    providers = _providers(engine)
    types = {name: type_ for each in providers if each.collections for name, type_ in each.collections().items()}
    return Snapshots(types, [each.upgrade_collections for each in providers if each.upgrade_collections])


def read_import(engine: Engine, document: Any) -> Snapshot:
    """The snapshot of an export that this server can continue from; raises SnapshotError.

    Its values have the declared types. Then it is restored in a sandbox that is thrown away, and read as clients and
    operators would read it.
    """
    snapshot = snapshots_of(engine).read(document)
    _check_definitions(engine, snapshot.state)
    sandbox = Sandbox(snapshot.state.name, MemoryStore(), engine.sandboxes.defaults)
    restore(sandbox, snapshot)
    for context, reading in _readings(engine, sandbox):
        checkpoint()
        _check_reading(context, reading)
    return snapshot


def _providers(engine: Engine) -> dict[Provider, ApiContext]:
    return {service.provider: service.world for service in engine.services if service.provider}


def _check_definitions(engine: Engine, state: SnapshotState) -> None:
    """Validates the parts of an export that have schemas."""
    conditions = state.conditions.described()
    judged = [(_RULE, rule.definition, f"rules[{n}].definition") for n, rule in enumerate(state.rules)]
    for schema, value, place in [*judged, (engine.scenarios.conditions, conditions, "conditions")]:
        for violation in schema.violations(value, ()):
            raise SnapshotError(f"sandbox.{place}: {violation.message}")
    try:
        parse_conditions(conditions, ("conditions",))
    except ValueError as error:
        raise SnapshotError(f"sandbox.conditions: {error}") from error


def _readings(engine: Engine, sandbox: Sandbox) -> Iterator[tuple[ApiContext | None, Reading]]:
    for id_, batch in sandbox.batches.items():
        yield None, Reading("batches", id_, partial(_read_batch, batch))
    now = sandbox.clock.now()
    for key, account in sandbox.accounts.items():
        yield None, Reading("accounts", key, partial(dict, id=account.key))
        yield None, Reading("accounts", key, partial(sandbox.accounts.balance, account, now))
    for each in sandbox.outbox.every() if sandbox.outbox else ():
        yield None, Reading("callbacks", each.id, partial(callback_json, each))
    for provider, context in _providers(engine).items():
        if provider.read_back is not None:
            for reading in provider.read_back(context, sandbox):
                yield context, reading


def _read_batch(batch: Batch) -> dict[str, Any]:
    texts = batch.texts() if batch.size else []
    if len(texts) != batch.size or not all(isinstance(each, str) for each in texts):
        raise ValueError(f"its size is {batch.size}; its body has {len(texts)} texts")
    return {"id": batch.id}


def _check_reading(context: ApiContext | None, reading: Reading) -> None:
    """Raises SnapshotError if the value cannot be read."""
    place = f"sandbox.collections.{reading.collection}.{reading.key[:200]}"
    try:
        value = reading.read()
        check_depth(value)
    except Exception as error:  # what the readers of a forged value come upon
        raise SnapshotError(f"{place}: it cannot be read back: {error}"[:500]) from error
    if isinstance(value, dict) and value.get("id", reading.key) != reading.key:
        raise SnapshotError(f"{place}: its id is another")
    if context is not None and reading.component:
        for each in context.bundled_component(reading.component).violations(value, ()):
            path = ".".join([reading.component, *map(str, each.location)])
            raise SnapshotError(f"{place}: it cannot be read back: {path}: {each.message}"[:500])
