"""Brings exports of earlier format versions up to date, before they are decoded."""

from collections.abc import Callable, Iterable
from typing import Any

from mockserver.sandbox.snapshot.registry import SnapshotError

Collections = dict[str, Any]
"""The encoded values of an export, by collection and key."""
UpgradeCollections = Callable[[Collections], None]
"""Changes the encoded collections of an export of version 2 to those of version 3."""
OLDEST = 2
"""The oldest version that can be read."""


def upgraded(sandbox: Any, upgrades: Iterable[UpgradeCollections]) -> Any:
    """The encoded sandbox of a document of version 2, as in version 3; raises SnapshotError.

    `upgrades` are those of providers. Values are validated when they are decoded.
    """
    try:
        collections = dict(sandbox["shelves"])
        for upgrade in (_upgrade_accounts, *upgrades):
            upgrade(collections)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SnapshotError(f"sandbox.shelves: no collections of version 2: {error!r}"[:300]) from error
    return {**sandbox, "shelves": collections}


def _upgrade_accounts(collections: Collections) -> None:
    """An account held its credits and its unpaid batches, which are collections of their own since."""
    accounts: Collections = {}
    settled, promised, unpaid = ({} for _ in range(3))  # type: tuple[Collections, Collections, Collections]
    for key, account in collections.get("accounts", {}).items():
        fields = dict(account["v"])
        settled[key], owed = fields.pop("settled"), fields.pop("open")
        if owed:
            promised[key] = sum(owed.values())
            unpaid |= dict.fromkeys(owed, key)
        del fields["batches"]
        accounts[key] = {**fields, "$": "Account"}
    collections |= {"accounts": accounts, "settled": settled, "promised": promised, "unpaid": unpaid}
