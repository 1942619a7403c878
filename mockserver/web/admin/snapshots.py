"""Admin routes for export and import."""

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any

from mockserver.engine.engine import Engine
from mockserver.json_bodies import JsonError, check_values_in
from mockserver.openapi.schema import Schema
from mockserver.sandbox.blobs import Blob, no_room
from mockserver.sandbox.conditions import NORMAL
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.scenario import parse_conditions
from mockserver.sandbox.snapshot.export import (
    MAX_DOCUMENT,
    Snapshot,
    Snapshots,
    decode_fields,
    max_document_values,
    restore,
)
from mockserver.sandbox.snapshot.registry import SnapshotError
from mockserver.sandbox.stubs.schema import RULE_SCHEMA
from mockserver.web.admin.call import AdminCall, AdminRefusal, AdminRoute, Step

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
        snapshot = snapshots_of(call.engine).read(call.body)
        _check_definitions(call.engine, snapshot)
        decode_fields(snapshot)
    except SnapshotError as error:
        raise AdminRefusal(422, f"The body cannot be imported: {error}.") from error
    except OSError as problem:
        raise AdminRefusal(507, no_room(problem).detail) from None
    call.engine.sandboxes.check_room_to_pin(call.sandbox.name)
    yield Step(call.sandbox.name, partial(_restore, call, snapshot))
    counts = {name.rpartition(".")[2]: len(shelf) for name, shelf in snapshot.shelves.items()}
    kept = None if snapshot.exchanges is None else len(snapshot.exchanges)
    return {"name": call.sandbox.shown_name, "from": snapshot.name, "restored": {**counts, "exchanges": kept}}


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
    providers = {service.provider: service.world for service in engine.services if service.provider}
    declared = {each.name: each.collections() for each in providers if each.collections}
    checks = [partial(each.check_snapshot, world) for each, world in providers.items() if each.check_snapshot]
    return Snapshots(declared, checks, [each.upgrade_collections for each in providers if each.upgrade_collections])


def _check_definitions(engine: Engine, snapshot: Snapshot) -> None:
    """Validates parts of an export that have schemas."""
    rules, conditions = snapshot.attributes.get("rules", ()), snapshot.attributes.get("conditions", NORMAL)
    judged = [(_RULE, rule.definition, f"rules[{n}].definition") for n, rule in enumerate(rules)]
    for schema, value, place in [*judged, (engine.scenarios.conditions, conditions.described(), "conditions")]:
        for violation in schema.violations(value, ()):
            raise SnapshotError(f"sandbox.attributes.{place}: {violation.message}")
    try:
        parse_conditions(conditions.described(), ("conditions",))
    except ValueError as error:
        raise SnapshotError(f"sandbox.attributes.conditions: {error}") from error
