"""Brings exports of earlier format versions up to date, before they are decoded.

Up to version 3, values that JSON lacks, and the types of records, were objects with a tag, e.g. `{"$": "float",
"v": "inf"}`.
Without tags, and with the names of fields that changed, their values are those of version 4.
"""

from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any

from mockserver.json_bodies import check_depth, parse_json
from mockserver.sandbox.accounts import DERIVED
from mockserver.sandbox.snapshot.values import SnapshotError
from mockserver.workers import checkpoint

Collections = dict[str, Any]
"""The values of an export without tags, by collection and key."""
UpgradeCollections = Callable[[Collections], None]
"""Changes the collections of an export of version 2 to those of version 3."""
OLDEST = 2
"""The oldest version that can be read."""
_TAG = "$"
_RENAMED = {
    "fates": "outcomes",
    "good": "succeeded",
    "held": "not_before",
    "heeds_markers": "applies_markers",
    "told": "examples",
    "trade": "used",
    "trades": "usage",
    "worked": "results",
}
"""Fields of records that have another name in version 4."""
_FLOATS = {"inf": None, "-inf": 0.0}
"""A batch that did not wait was held until `-inf`."""


def upgraded(document: dict[str, Any], upgrades: Iterable[UpgradeCollections]) -> dict[str, Any]:
    """The document of version 2 or 3 as one of version 4; raises SnapshotError.

    `upgrades` are those of providers. Values are validated when they are decoded.
    """
    try:
        return {**document, "sandbox": _upgraded_sandbox(document, upgrades)}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        version = document["version"]
        raise SnapshotError(f"sandbox: it is not as in version {version}: {error!r}"[:300]) from error


def _upgraded_sandbox(document: dict[str, Any], upgrades: Iterable[UpgradeCollections]) -> dict[str, Any]:
    sandbox = _without_tags(document["sandbox"])
    attributes, collections = sandbox.pop("attributes"), sandbox.pop("shelves")
    if document["version"] == OLDEST:
        for upgrade in (_upgrade_accounts, *upgrades):
            upgrade(collections)
    for name in DERIVED:
        collections.pop(name, None)
    sandbox |= attributes
    sandbox["callbacks"] = sandbox.pop("outbox")
    for exchange in sandbox["exchanges"] or ():
        for name in ("form", "form_parts"):
            exchange["request"].pop(name, None)
    return {**sandbox, "collections": collections}


def _upgrade_accounts(collections: Collections) -> None:
    """An account held its credits and its batches, which are computed since."""
    accounts = collections.get("accounts", {})
    for account in accounts.values():
        for name in ("settled", "open", "batches"):
            del account[name]


def _without_tags(value: Any) -> Any:
    checkpoint()
    if isinstance(value, list):
        return [_without_tags(each) for each in value]
    if not isinstance(value, dict):
        return value
    if _TAG not in value:
        return {key: _without_tags(each) for key, each in value.items()}
    if value.keys() == {_TAG, "v"}:
        read = _SCALARS.get(value[_TAG])
        return read(value["v"]) if read else _without_tags(value["v"])
    return {_RENAMED.get(key, key): _without_tags(each) for key, each in value.items() if key != _TAG}


def _read_json(text: str) -> Any:
    value = parse_json(text.encode())
    check_depth(value)
    return value


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "bytes": str,
    "text": lambda text: b64decode(text).decode("utf-8", "replace"),
    "float": _FLOATS.__getitem__,
    "int": lambda text: int(text[:100], 16),
    "json": _read_json,
    "dict": lambda pairs: {str(key): _without_tags(each) for key, each in pairs},
    "stream": lambda _: None,
}
"""Of the tags whose value is no other encoded value, what it means. Others hold a value, e.g. a tuple as a list."""
