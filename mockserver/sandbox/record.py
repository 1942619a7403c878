"""The record of a sandbox: what it remembers beside its collections."""

from collections.abc import Mapping
from typing import Any

from mockserver.records import Record
from mockserver.sandbox.accounts import NO_OVERRIDES, Account, AccountOverrides, AccountSpec
from mockserver.sandbox.batches import Batch, Progression, RecordedJob
from mockserver.sandbox.clock import ClockConfig, ClockState
from mockserver.sandbox.conditions import NORMAL, Conditions
from mockserver.sandbox.stubs.rules import RuleSnapshot

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


class SandboxOptions(Record, frozen=True, gc=False):
    """How one sandbox differs from SandboxDefaults."""

    clock: ClockConfig | None = None
    progression: Progression | None = None
    accounts: tuple[AccountSpec, ...] = ()
    """In addition to those of files; every provider accepts them."""
    ids_of: str = ""
    """The name whose sandbox would produce the same ids; empty for its own."""


NO_OPTIONS = SandboxOptions()


class SandboxRecord(Record, frozen=True, gc=False):
    """The state of a sandbox beside its collections. A change is a new record."""

    own: SandboxOptions
    """The initial state, to which a reset returns."""
    salt: bytes
    """The salt of its ids; that of another sandbox after an import."""
    clock: ClockState
    progression: Progression
    conditions: Conditions = NORMAL
    terms: AccountOverrides = NO_OVERRIDES
    """Overrides for accounts that are opened from now on."""
    rules: tuple[RuleSnapshot, ...] = ()
    """The installed stubs and faults with their counts, in order of precedence."""
    has_callbacks: bool = False
    """Whether a batch has had a callback since the last reset; otherwise there is no outbox."""
    callbacks_dropped: int = 0
    """The number of callbacks dropped because of their bound."""
    is_held: bool = False
    """Whether it was pinned explicitly."""
    is_set_up: bool = False
    """Whether an admin call has changed it since its last reset."""
    is_named_by_token: bool = False
    """Whether its name is a client's token, which must not be shown."""
