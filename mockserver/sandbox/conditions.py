"""Conditions: how a sandbox differs from the settings, and the outcomes planned for its batches."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mockserver.records import Record
from mockserver.sandbox.ids import digest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_STATUS = 500
AnySettings = TypeVar("AnySettings", bound="DataclassInstance")


class ItemSelector(Record, frozen=True, gc=False):
    """Selects items of a batch by one of three rules."""

    every: int = 0
    """Select every n-th item (1 = all items). 0 = not set; then `share` or `indexes` applies."""
    share: int | float = 0.0
    """The probability of each item, seeded by the batch's id."""
    indexes: tuple[int, ...] = ()
    """Indexes of items, from 0, ascending."""

    def takes(self, index: int, key: bytes) -> bool:
        """Whether the item is selected. `key` seeds the random numbers of `share`."""
        if self.every:
            return (index + 1) % self.every == 0
        if self.share:
            return int.from_bytes(digest(key, b"%d" % index)[:4], "big") < self.share * 2**32
        place = bisect_left(self.indexes, index)
        return place < len(self.indexes) and self.indexes[place] == index


class ItemPlan(Record, frozen=True, gc=False):
    """The outcomes of a batch's items; it applies in addition to markers."""

    fail: ItemSelector | None = None
    status: int = DEFAULT_STATUS
    """The status of failed items."""
    hang: ItemSelector | None = None
    """The items that never end."""
    expires: bool = False
    """Whether the batch expires with its last poll (under `polls`), or at once (under `immediate`)."""

    def failure(self, index: int, batch: str) -> int | None:
        """The status with which an item fails; None if it does not."""
        return self.status if self.fail is not None and self.fail.takes(index, b"fail/" + batch.encode()) else None

    def hangs(self, index: int, batch: str) -> bool:
        return self.hang is not None and self.hang.takes(index, b"hang/" + batch.encode())


class InputRejection(Record, frozen=True, gc=False):
    """An error for which every batch fails when its input is validated."""

    code: str
    line: int | None = None
    param: str | None = None
    message: str | None = None
    """None selects the provider's message for the code."""


class Conditions(Record, frozen=True, gc=False):
    """How one sandbox differs. What is None is as the settings say."""

    capacity: str | None = None
    page_size: int | None = None
    """The most entries of a page of a list, regardless of the requested limit."""
    items: ItemPlan | None = None
    input: InputRejection | None = None
    retention: int | float | None = None
    """Seconds of sandbox time after which batches and files are unknown."""
    settings: tuple[tuple[str, str | bool], ...] = ()
    """Settings of providers that have other values here, by name; those that their rows declare as conditions."""

    def applied_to(self, settings: AnySettings) -> AnySettings:
        """The settings, with the values that this sandbox has in their place."""
        return replace(settings, **dict(self.settings)) if self.settings else settings

    def forgets(self, created: float, now: float) -> bool:
        """Whether an object created then has expired by now."""
        return self.retention is not None and created + self.retention <= now

    def described(self) -> dict[str, Any]:
        """The conditions as JSON, without those that are None; `read_conditions` parses it."""
        found = {name: value for name, value in self._asdict().items() if value is not None}
        found |= dict(found.pop("settings"))
        if self.items is not None:
            found["items"] = _plan_json(self.items)
        if self.input is not None:
            found["input"] = {name: value for name, value in self.input._asdict().items() if value is not None}
        return found


NORMAL = Conditions()
"""No differences. Sandboxes without conditions share this value."""


def read_conditions(value: Mapping[str, Any]) -> Conditions:
    """Conditions from JSON that fits the schema (`$defs/conditions` in the scenarios' schema)."""
    if not value:
        return NORMAL
    changes = dict(value)
    if "items" in changes:
        changes["items"] = _read_plan(changes["items"])
    if "input" in changes:
        changes["input"] = InputRejection(**changes["input"])
    settings = tuple((name, changes.pop(name)) for name in value if name not in Conditions.__struct_fields__)
    return Conditions(**changes, settings=settings)


def _read_plan(value: Mapping[str, Any]) -> ItemPlan:
    choices = {name: _read_choice(value[name]) for name in ("fail", "hang") if name in value}
    return ItemPlan(status=value.get("status", DEFAULT_STATUS), expires=value.get("expires", False), **choices)


def _read_choice(value: str | Mapping[str, Any]) -> ItemSelector:
    if isinstance(value, str):
        return ItemSelector(every=1)
    if "indexes" in value:
        return ItemSelector(indexes=tuple(sorted(int(index) for index in value["indexes"])))
    return ItemSelector(every=int(value.get("every", 0)), share=value.get("share", 0.0))


def _plan_json(plan: ItemPlan) -> dict[str, Any]:
    found = {name: _selector_json(choice) for name, choice in (("fail", plan.fail), ("hang", plan.hang)) if choice}
    return found | ({"status": plan.status} if plan.fail else {}) | ({"expires": True} if plan.expires else {})


def _selector_json(choice: ItemSelector) -> Any:
    if choice.every:
        return "all" if choice.every == 1 else {"every": choice.every}
    return {"share": choice.share} if choice.share else {"indexes": list(choice.indexes)}
