"""AgileCloud's collections in exports of format version 2."""

from typing import Any

RENAMED = ("jobs", "files", "prompts", "buckets", "asked")
"""Collections whose names have the prefix of the provider since version 3."""


def upgrade_collections(collections: dict[str, Any]) -> None:
    """Rename the collections, and number the entries of usage, which were a list for each account."""
    for name in RENAMED:
        if name in collections:
            collections[f"agilecloud.{name}"] = collections.pop(name)
    lists = collections.pop("usage", {})
    collections["agilecloud.usage"] = {
        f"{account}\n{n}": entry for account, entries in lists.items() for n, entry in enumerate(entries)
    }
    collections["agilecloud.usage_ends"] = {account: len(entries) for account, entries in lists.items()}
