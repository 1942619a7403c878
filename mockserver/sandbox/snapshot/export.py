"""Exports a sandbox as one JSON document, and imports it."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from mockserver import __version__
from mockserver.errors import Reason
from mockserver.json_bodies import MAX_VALUES
from mockserver.redaction import is_account_key
from mockserver.sandbox.accounts import MOST, NO_OVERRIDES, Account, AccountOverrides
from mockserver.sandbox.batches import Batch, Progression, RecordedJob
from mockserver.sandbox.callbacks import Attempt, Callback, State
from mockserver.sandbox.clock import LATEST, ClockSnapshot
from mockserver.sandbox.conditions import NORMAL, Conditions
from mockserver.sandbox.journal import Exchange, without_secrets
from mockserver.sandbox.record import SandboxOptions
from mockserver.sandbox.sandbox import Sandbox
from mockserver.sandbox.snapshot.checks import (
    KINDS,
    LONGEST,
    SnapshotCheck,
    is_json,
    is_progression,
    is_time,
    is_valid_batch,
)
from mockserver.sandbox.snapshot.codec import TAG, Reader, Writer
from mockserver.sandbox.snapshot.registry import Registry, SnapshotError, frozen_copy
from mockserver.sandbox.snapshot.types import type_problem
from mockserver.sandbox.snapshot.upgrade import OLDEST, UpgradeCollections, upgraded
from mockserver.sandbox.stubs.rules import Rule, RuleSnapshot
from mockserver.sandbox.stubs.schema import restored_rule

FORMAT, VERSION = "mockserver sandbox", 3
MAX_DOCUMENT = 384 * 1024 * 1024
"""The most bytes of a document: 256 MB of files in base64, and everything else."""
MAX_DOCUMENT_VALUES, BYTES_PER_VALUE = 2_000_000, 8
"""The most values in a document, and the minimum average size of a value in bytes; exports have 20 and more."""

COLLECTIONS: Mapping[str, Any] = {
    "batches": Batch,
    "accounts": Account,
    "settled": int,
    "promised": int,
    "unpaid": str,
    "seen": int,
    "resources": str,
    "sequences": int,
    "recorded_answers": int,
    "recorded_jobs": RecordedJob,
}
"""The types of the core's collections. A provider declares its own; see Provider.collections."""


class SnapshotField(NamedTuple):
    """How a part of the sandbox that is no collection is exported."""

    hint: Any
    """The type of the exported value."""
    take: Callable[[Sandbox], Any]
    """The value, from a sandbox."""
    read: Callable[[Any], Any]
    """The value to import; raises ValueError for an invalid one."""


def _read_progression(progression: Progression) -> Progression:
    if progression.kind not in KINDS:
        raise ValueError("no such kind")
    if not is_progression(progression):
        raise ValueError(f"its amount is no number up to {LONGEST:g}, or no read at all")
    return progression


def _read_terms(terms: AccountOverrides) -> AccountOverrides:
    if abs(terms.credits or 0) > MOST:
        raise ValueError("more credits than there are")
    return terms


def _take_outbox(sandbox: Sandbox) -> tuple[Callback, ...] | None:
    return tuple(sandbox.outbox.every()) if sandbox.outbox else None


def _read_outbox(callbacks: tuple[Callback, ...] | None) -> list[Callback] | None:
    for each in callbacks or ():
        if each.due < 0 or not all(is_time(attempt.at) for attempt in each.attempts):
            raise ValueError(f"{each.id[:100]} has a time before 1970, or past the year 9999")
        if each.payload:
            orjson.loads(each.payload)
    return None if callbacks is None else [_at_rest(each) for each in callbacks]


def _at_rest(callback: Callback) -> Callback:
    """The callback as it is imported: one that was being sent has failed, since its delivery is unknown and must not be
    repeated.
    """
    if callback.state not in {State.SENDING, State.RETRYING}:
        return callback
    return callback.tried(Attempt(min(callback.due, LATEST), None, "it was exported while under way"), State.FAILED)


def _read_conditions(conditions: Conditions) -> Conditions:
    """The conditions. Their choices have been validated."""
    return NORMAL if conditions == NORMAL else conditions


def _take_rules(sandbox: Sandbox) -> tuple[RuleSnapshot, ...]:
    return tuple(rule.kept() for rule in sandbox.rules.installed)


def _read_rules(kept: tuple[RuleSnapshot, ...]) -> list[Rule]:
    """The rules. Their definitions have been validated against RULE_SCHEMA."""
    for each in kept:
        if each.until is not None and not is_time(each.until):
            raise ValueError("a rule lasts until a time before 1970, or past the year 9999")
    return [restored_rule(each) for each in kept]


ATTRIBUTES: Mapping[str, SnapshotField] = {
    "progression": SnapshotField(Progression, lambda sandbox: sandbox.progression, _read_progression),
    "conditions": SnapshotField(Conditions, lambda sandbox: sandbox.conditions, _read_conditions),
    "terms": SnapshotField(AccountOverrides, lambda sandbox: sandbox.accounts.terms, _read_terms),
    "outbox": SnapshotField(tuple[Callback, ...] | None, _take_outbox, _read_outbox),
    "rules": SnapshotField(tuple[RuleSnapshot, ...], _take_rules, _read_rules),
}
"""The exported parts that are no collections."""


def max_document_values(size: int) -> int:
    """The most values of an export of `size` bytes."""
    return max(MAX_VALUES, min(size // BYTES_PER_VALUE, MAX_DOCUMENT_VALUES))


class Snapshot(NamedTuple):
    """The state of a sandbox at an instant."""

    name: str
    salt: bytes
    """The salt of its ids, so that new ids are those that the exported sandbox would have produced."""
    own: SandboxOptions
    clock: ClockSnapshot
    seen: int
    """The number of requests that its journal has seen."""
    exchanges: tuple[Exchange, ...] | None
    """None if they are not included."""
    attributes: Mapping[str, Any]
    """Encoded; see ATTRIBUTES."""
    shelves: Mapping[str, Mapping[str, Any]]


class Snapshots:
    """Encodes and decodes snapshots."""

    def __init__(
        self,
        kept: Mapping[str, Mapping[str, Any]] = {},
        senses: Iterable[SnapshotCheck] = (),
        upgrades: Iterable[UpgradeCollections] = (),
    ) -> None:
        """By provider, `kept` are the types of its collections, `senses` its consistency checks.

        `upgrades` bring their collections in exports of an earlier version up to date.
        """
        self._senses = tuple(senses)
        self._upgrades = tuple(upgrades)
        self._registry = Registry()
        for hint in (Snapshot, Reason, *COLLECTIONS.values(), *(each.hint for each in ATTRIBUTES.values())):
            self._registry.declare(hint)
        self._hints = dict(COLLECTIONS)
        for provider, shelves in kept.items():
            self._hints |= shelves
            for hint in shelves.values():
                self._registry.declare(hint, f"{provider}.")

    def snapshot_of(self, sandbox: Sandbox, *, journal: bool = False) -> Snapshot:
        """The current state of a sandbox. Call it inside the sandbox's transaction; it is fast."""
        names = dict.fromkeys((*self._hints, *sandbox.collections()))
        return Snapshot(
            name=sandbox.shown_name,
            salt=sandbox.ids.salt,
            own=sandbox.own,
            clock=sandbox.clock.mark(),
            seen=sandbox.journal.seen,
            exchanges=tuple(sandbox.journal.find(lambda _: True)) if journal else None,
            attributes={name: each.take(sandbox) for name, each in ATTRIBUTES.items()},
            shelves={name: frozen_copy(dict(sandbox.collection(name, object).items())) for name in names},
        )

    def encode(self, snapshot: Snapshot, most: int = MAX_DOCUMENT) -> Iterator[bytes]:
        """The document as JSON in pieces; raises SnapshotError if it would exceed `most` bytes."""
        writer = Writer(self._registry, most)
        head = {"format": FORMAT, "version": VERSION, "mockserver": __version__}
        tag = orjson.dumps({TAG: self._registry.tags[Snapshot]})
        yield orjson.dumps(head).removesuffix(b"}") + b',"sandbox":' + tag.removesuffix(b"}")
        for name, value in snapshot._asdict().items():
            yield b",%b:" % orjson.dumps(name)
            if name == "exchanges" and value:
                yield from writer.encode_tuple((without_secrets(each, snapshot.name) for each in value), 1)
            else:
                yield from writer.encode(value, 1)
        yield b'},"blobs":'
        yield from writer.encode_blobs()
        yield b"}"

    def read(self, document: Any) -> Snapshot:
        """The snapshot of a document; raises SnapshotError."""
        _check_head(document)
        reader = Reader(self._registry, document["blobs"])
        sandbox = document["sandbox"]
        if document["version"] == OLDEST:
            sandbox = upgraded(sandbox, self._upgrades)
        snapshot: Snapshot = reader.read(sandbox, Snapshot, "sandbox")
        self._check(snapshot)
        _check_values(snapshot)
        for sense in self._senses:
            for place, complaint in sense(snapshot.shelves):
                _require(False, f"shelves.{place}", complaint)
        return snapshot

    def _check(self, snapshot: Snapshot) -> None:
        for name, value in snapshot.attributes.items():
            _require(name in ATTRIBUTES, f"attributes.{name}", f"unknown; known are {', '.join(ATTRIBUTES)}")
            _require(not (wrong := type_problem(value, ATTRIBUTES[name].hint)), f"attributes.{name}", wrong)
        for name, shelf in snapshot.shelves.items():
            _require(name in self._hints, f"shelves.{name}", f"unknown; known are {', '.join(sorted(self._hints))}")
            for key, value in shelf.items():
                _require(not (wrong := type_problem(value, self._hints[name])), f"shelves.{name}.{key}", wrong)


def decode_fields(snapshot: Snapshot) -> Mapping[str, Any]:
    """The values for `restore`; raises SnapshotError."""
    found = {}
    for name, value in snapshot.attributes.items():
        try:
            found[name] = ATTRIBUTES[name].read(value)
        except ValueError as error:
            raise SnapshotError(f"sandbox.attributes.{name}: {error}") from error
    return found


def restore(sandbox: Sandbox, snapshot: Snapshot) -> None:
    """Replace the state of the sandbox by the snapshot. Call it inside the sandbox's transaction.

    Raises SnapshotError, and then changes nothing, for invalid attributes.
    """
    attributes = decode_fields(snapshot)
    sandbox.restart_with(snapshot.own)
    sandbox.clock.set_to(snapshot.clock)
    sandbox.ids.salt = snapshot.salt
    for name, shelf in snapshot.shelves.items():
        collection = sandbox.collection(name, object)
        for key, value in shelf.items():
            collection.put(key, value)
    sandbox.progression = attributes.get("progression", sandbox.progression)
    sandbox.conditions = attributes.get("conditions", NORMAL)
    sandbox.accounts.terms = attributes.get("terms", NO_OVERRIDES)
    callbacks = attributes.get("outbox")
    if callbacks is not None:
        sandbox.open_outbox().add(callbacks)
    sandbox.rules.installed = attributes.get("rules", [])
    sandbox.journal.fill(snapshot.seen, snapshot.exchanges or ())


def _check_head(document: Any) -> None:
    wanted = {"format", "version", "mockserver", "sandbox", "blobs"}
    if not (isinstance(document, dict) and document.keys() == wanted and document["format"] == FORMAT):
        came = ", ".join(sorted(document))[:300] if isinstance(document, dict) else type(document).__name__
        raise SnapshotError(
            f"no export of a sandbox: wanted an object with {', '.join(sorted(wanted))}; here is {came}"
        )
    if document["version"] not in (OLDEST, VERSION):
        version, writer = str(document["version"])[:100], str(document["mockserver"])[:100]
        raise SnapshotError(
            f"version: {version}, written by mockserver {writer}; {__version__} reads {OLDEST} and {VERSION}"
        )


def _check_values(snapshot: Snapshot) -> None:
    """Checks what types cannot express."""
    clock, seen, exchanges = snapshot.clock, snapshot.seen, snapshot.exchanges or ()
    _require(0 <= clock.born <= clock.now <= LATEST, "clock", "it stands before its beginning, or past the year 9999")
    _require(0 < clock.scale < math.inf, "clock.scale", "wanted a positive number")
    numbers = [0, *(each.number for each in exchanges)]
    _require(all(one < other for one, other in pairwise(numbers)), "exchanges", "their numbers do not rise")
    _require(all(is_time(each.at) for each in exchanges), "exchanges", "one is from before 1970, or past 9999")
    _require(numbers[-1] <= seen, "seen", "it is less than the number of the last exchange")
    _check_own(snapshot.own)
    for id_, batch in snapshot.shelves.get("batches", {}).items():
        _require(_makes_sense(id_, batch), f"shelves.batches.{id_}", "it does not agree with itself")
    known = snapshot.shelves.get("batches", {})
    for key, account in snapshot.shelves.get("accounts", {}).items():
        _require(is_account_key(key), "shelves.accounts", "a key is no digest of a token (32 hexadecimal digits)")
        _require(account.key == key, f"shelves.accounts.{key}", "its key is another")
        is_timely = all(is_time(each.at) for each in account.entries)
        _require(is_timely, f"shelves.accounts.{key}", "a charge is from before 1970, or past the year 9999")
    for shelf in ("settled", "promised"):
        for key, credits in snapshot.shelves.get(shelf, {}).items():
            _require(abs(credits) <= MOST, f"shelves.{shelf}.{key}", "more credits than there are")
    for id_, key in snapshot.shelves.get("unpaid", {}).items():
        is_known = id_ in known and known[id_].account == key
        _require(is_known, f"shelves.unpaid.{id_}", "it is no batch of that account")
    _require(
        all(is_json(each.definition) for each in snapshot.attributes.get("rules", ())), "attributes.rules", "no JSON"
    )


def _check_own(own: SandboxOptions) -> None:
    """Checks the initial state, to which a reset returns."""
    _require(own.progression is None or is_progression(own.progression), "own.progression", "no batch can age so")
    if own.clock is not None:
        _require(is_time(own.clock.instant or 0), "own.clock", "it begins before 1970, or past the year 9999")
        _require(0 < own.clock.scale < math.inf, "own.clock.scale", "wanted a positive number")
    for facts in own.accounts:
        _require(is_account_key(facts.key), "own.accounts", "a key is no digest of a token (32 hexadecimal digits)")
        _require(abs(facts.credits) <= MOST, "own.accounts", f"{facts.key[:100]} has more credits than there are")


def _makes_sense(id_: str, batch: Batch) -> bool:
    try:
        texts = batch.texts()
    except (ValueError, KeyError, TypeError):
        return False
    is_whole = batch.id == id_ and batch.size == len(texts) >= 1 and all(isinstance(each, str) for each in texts)
    return is_whole and is_valid_batch(batch)


def _require(holds: bool, place: str, complaint: str) -> None:
    if not holds:
        raise SnapshotError(f"sandbox.{place[:200]}: {complaint}")
