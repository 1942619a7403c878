"""Exports a sandbox as one JSON document, and imports it.

`values` writes and reads the values of a document; `upgrade` brings documents of earlier versions up to date. What one
value says of itself its type checks; that the values agree with each other shows when they are read back, as
`web.admin.snapshots` does before an import takes place.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from mockserver import __version__
from mockserver.json_bodies import MAX_VALUES
from mockserver.records import Bounds, Record
from mockserver.sandbox.accounts import DERIVED, AccountOverrides
from mockserver.sandbox.batches import Progression
from mockserver.sandbox.callbacks import Attempt, Callback, State
from mockserver.sandbox.clock import LATEST, ClockSnapshot
from mockserver.sandbox.conditions import NORMAL, Conditions
from mockserver.sandbox.journal import Exchange, without_secrets
from mockserver.sandbox.record import COLLECTIONS, SandboxOptions
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.snapshot.exchanges import ExportedExchange, export_exchange, import_exchange
from mockserver.sandbox.snapshot.upgrade import OLDEST, UpgradeCollections, upgraded
from mockserver.sandbox.snapshot.values import SnapshotError, ValueReader, ValueWriter
from mockserver.sandbox.stubs.rules import RuleSnapshot
from mockserver.sandbox.stubs.schema import restored_rule

FORMAT, VERSION = "mockserver sandbox", 4
MAX_DOCUMENT = 384 * 1024 * 1024
"""The most bytes of a document: 256 MB of files in base64, and everything else."""
MAX_DOCUMENT_VALUES, BYTES_PER_VALUE = 2_000_000, 8
"""The most values in a document, and the minimum average size of a value in bytes; exports have 20 and more."""
INTERRUPTED = "it was exported while under way"
"""The error of a delivery attempt whose result is unknown."""


def max_document_values(size: int) -> int:
    """The most values of an export of `size` bytes."""
    return max(MAX_VALUES, min(size // BYTES_PER_VALUE, MAX_DOCUMENT_VALUES))


class SnapshotState(Record, frozen=True, gc=False):
    """The state of a sandbox at an instant, beside its collections and its journal."""

    name: str
    salt: bytes
    """The salt of its ids, so that new ids are those that the exported sandbox would have produced."""
    own: SandboxOptions
    clock: ClockSnapshot
    seen: Annotated[int, Bounds(ge=0, le=2**53)]
    """The number of requests that its journal has seen."""
    progression: Progression
    conditions: Conditions
    terms: AccountOverrides
    callbacks: tuple[Callback, ...] | None
    """None if there never was one."""
    rules: tuple[RuleSnapshot, ...]


class Snapshot(NamedTuple):
    """A sandbox at an instant."""

    state: SnapshotState
    exchanges: tuple[Exchange, ...] | None
    """None if they are not included."""
    collections: Mapping[str, Mapping[str, Any]]


class Snapshots:
    """Encodes and decodes snapshots."""

    def __init__(self, types: Mapping[str, Any] = {}, upgrades: Iterable[UpgradeCollections] = ()) -> None:
        """`types` are those of the values in the providers' collections.

        `upgrades` bring their collections in exports of an earlier version up to date.
        """
        self._types = {**COLLECTIONS, **types}
        for name in DERIVED:
            del self._types[name]
        self._upgrades = tuple(upgrades)

    def snapshot_of(self, sandbox: Sandbox, *, journal: bool = False) -> Snapshot:
        """The current state of a sandbox. Call it inside the sandbox's transaction; it is fast."""
        names = dict.fromkeys((*self._types, *sandbox.collections()))
        state = SnapshotState(
            name=sandbox.shown_name,
            salt=sandbox.ids.salt,
            own=sandbox.own,
            clock=sandbox.clock.mark(),
            seen=sandbox.journal.seen,
            progression=sandbox.progression,
            conditions=sandbox.conditions,
            terms=sandbox.accounts.terms,
            callbacks=tuple(sandbox.outbox.every()) if sandbox.outbox else None,
            rules=tuple(rule.kept() for rule in sandbox.rules.installed),
        )
        exchanges = tuple(sandbox.journal.find(lambda _: True)) if journal else None
        kept = {name: dict(sandbox.collection(name, object).items()) for name in names if name not in DERIVED}
        return Snapshot(state, exchanges, kept)

    def encode(self, snapshot: Snapshot, most: int = MAX_DOCUMENT) -> Iterator[bytes]:
        """The document as JSON in pieces; raises SnapshotError if it would exceed `most` bytes."""
        writer = ValueWriter(most)
        head = {"format": FORMAT, "version": VERSION, "mockserver": __version__}
        yield writer.write(head).removesuffix(b"}") + b',"sandbox":'
        yield from writer.write_object(self._members(snapshot, writer))
        yield b',"blobs":'
        yield from writer.write_blobs()
        yield b"}"

    def _members(self, snapshot: Snapshot, writer: ValueWriter) -> Iterator[tuple[str, Iterable[bytes]]]:
        for name, value in snapshot.state._asdict().items():
            yield name, writer.write_list(value) if isinstance(value, tuple) else (writer.write(value),)
        if snapshot.exchanges is None:
            yield "exchanges", (b"null",)
        else:
            public = (without_secrets(each, snapshot.state.name) for each in snapshot.exchanges)
            yield "exchanges", writer.write_list(map(export_exchange, public))
        kept = snapshot.collections.items()
        yield "collections", writer.write_object((name, self._rows(name, rows, writer)) for name, rows in kept)

    def _rows(self, name: str, rows: Mapping[str, Any], writer: ValueWriter) -> Iterator[bytes]:
        if rows and name not in self._types:
            kind = type(next(iter(rows.values()))).__name__
            raise SnapshotError(f"{name} is no declared collection: a {kind} is none of the values that can be written")
        return writer.write_object((key, (writer.write(value),)) for key, value in rows.items())

    def read(self, document: Any) -> Snapshot:
        """The snapshot of a document, whose values have the declared types; raises SnapshotError."""
        _check_head(document)
        if document["version"] < VERSION:
            document = upgraded(document, self._upgrades)
        reader = ValueReader(document["blobs"])
        fields = reader.read(document["sandbox"], dict[str, Any], "sandbox")
        exchanges = reader.read(fields.pop("exchanges", None), tuple[ExportedExchange, ...] | None, "sandbox.exchanges")
        collections = reader.read(fields.pop("collections", None), dict[str, dict[str, Any]], "sandbox.collections")
        state: SnapshotState = reader.read(fields, SnapshotState, "sandbox")
        _check_numbers(state, exchanges)
        return Snapshot(
            _at_rest(state),
            None if exchanges is None else tuple(map(import_exchange, exchanges)),
            {name: self._read_rows(name, rows, reader) for name, rows in collections.items()},
        )

    def _read_rows(self, name: str, rows: Mapping[str, Any], reader: ValueReader) -> dict[str, Any]:
        place = f"sandbox.collections.{name[:100]}"
        if name not in self._types:
            raise SnapshotError(f"{place}: unknown; known are {', '.join(sorted(self._types))}")
        type_ = self._types[name]
        return {key: reader.read(value, type_, f"{place}.{key[:200]}") for key, value in rows.items()}


def restore(sandbox: Sandbox, snapshot: Snapshot) -> None:
    """Replace the state of the sandbox by the snapshot. Call it inside the sandbox's transaction.

    Raises SnapshotError, and then changes nothing, for invalid rules.
    """
    state = snapshot.state
    try:
        rules = list(map(restored_rule, state.rules))
    except ValueError as error:
        raise SnapshotError(f"sandbox.rules: {error}") from error
    sandbox.restart_with(state.own)
    sandbox.clock.set_to(state.clock)
    sandbox.ids.salt = state.salt
    for name, rows in snapshot.collections.items():
        collection = sandbox.collection(name, object)
        for key, value in rows.items():
            collection.put(key, value)
    sandbox.accounts.recount()
    sandbox.progression = state.progression
    sandbox.conditions = NORMAL if state.conditions == NORMAL else state.conditions
    sandbox.accounts.terms = state.terms
    if state.callbacks is not None:
        sandbox.open_outbox().add(state.callbacks)
    sandbox.rules.installed = rules
    sandbox.journal.fill(state.seen, snapshot.exchanges or ())


def _at_rest(state: SnapshotState) -> SnapshotState:
    """The state as it is imported: a callback that was being sent has failed, since its delivery is unknown and must
    not be repeated.
    """
    if state.callbacks is None:
        return state
    under_way = {State.SENDING, State.RETRYING}
    return state._replace(
        callbacks=tuple(
            each.tried(Attempt(min(each.due, LATEST), None, INTERRUPTED), State.FAILED)
            if each.state in under_way
            else each
            for each in state.callbacks
        )
    )


def _check_head(document: Any) -> None:
    wanted = {"format", "version", "mockserver", "sandbox", "blobs"}
    if not (isinstance(document, dict) and document.keys() == wanted and document["format"] == FORMAT):
        came = ", ".join(sorted(document))[:300] if isinstance(document, dict) else type(document).__name__
        raise SnapshotError(
            f"no export of a sandbox: wanted an object with {', '.join(sorted(wanted))}; here is {came}"
        )
    if document["version"] not in range(OLDEST, VERSION + 1):
        version, writer = str(document["version"])[:100], str(document["mockserver"])[:100]
        raise SnapshotError(
            f"version: {version}, written by mockserver {writer}; {__version__} reads {OLDEST} to {VERSION}"
        )


def _check_numbers(state: SnapshotState, exchanges: Iterable[ExportedExchange] | None) -> None:
    numbers = [0, *(each.number for each in exchanges or ())]
    if not all(one < other for one, other in pairwise(numbers)):
        raise SnapshotError("sandbox.exchanges: their numbers do not rise")
    if numbers[-1] > state.seen:
        raise SnapshotError("sandbox.seen: it is less than the number of the last exchange")
