"""Conditions: how a sandbox differs from what the settings say, and what shall become of its batches."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mockserver.sandbox.ids import digest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_STATUS = 500
AnySettings = TypeVar("AnySettings", bound="DataclassInstance")


class ItemSelector(NamedTuple):
    """Some items of a batch, said by one of three rules."""

    every: int = 0
    """Every so manieth; 1 is all, 0 is not this rule."""
    share: float = 0.0
    """Each with this probability, drawn from the batch's id."""
    indexes: tuple[int, ...] = ()
    """Just these, from 0, in rising order."""

    def takes(self, index: int, key: bytes) -> bool:
        """Whether the item is among them. `key` is what a share is drawn from."""
        if self.every:
            return (index + 1) % self.every == 0
        if self.share:
            return int.from_bytes(digest(key, b"%d" % index)[:4], "big") < self.share * 2**32
        place = bisect_left(self.indexes, index)
        return place < len(self.indexes) and self.indexes[place] == index


class ItemPlan(NamedTuple):
    """What becomes of a batch's items, whatever their texts say."""

    fail: ItemSelector | None = None
    status: int = DEFAULT_STATUS
    """What the failing ones fail with."""
    hang: ItemSelector | None = None
    """Those that never end."""
    expires: bool = False
    """Whether the batch's window closes with its last poll, under `polls`, or at once, under `immediate`."""

    def failure(self, index: int, batch: str) -> int | None:
        """The status an item fails with; None when it does not."""
        return self.status if self.fail is not None and self.fail.takes(index, b"fail/" + batch.encode()) else None

    def hangs(self, index: int, batch: str) -> bool:
        return self.hang is not None and self.hang.takes(index, b"hang/" + batch.encode())


class InputRejection(NamedTuple):
    """What is found wrong with the input of every batch, once it is looked at."""

    code: str
    line: int | None = None
    param: str | None = None
    message: str | None = None
    """None where the provider has words for the code."""


class Conditions(NamedTuple):
    """How one sandbox differs. What is None is as the settings say."""

    capacity: str | None = None
    page_size: int | None = None
    """The most entries a page of a list has, whatever is asked for."""
    items: ItemPlan | None = None
    input: InputRejection | None = None
    retention: float | None = None
    """Seconds of sandbox time after which batches and files are unknown."""
    settings: tuple[tuple[str, str | bool], ...] = ()
    """Settings of providers that have other values here, by name; those that their rows declare as conditions."""

    def applied_to(self, settings: AnySettings) -> AnySettings:
        """The settings, with the values that this sandbox has in their place."""
        return replace(settings, **dict(self.settings)) if self.settings else settings

    def forgets(self, created: float, now: float) -> bool:
        """Whether what was made then is unknown by now."""
        return self.retention is not None and created + self.retention <= now

    def described(self) -> dict[str, Any]:
        """The conditions as JSON, only what differs; `read_conditions` takes it back."""
        found = {name: value for name, value in self._asdict().items() if value is not None}
        found |= dict(found.pop("settings"))
        if self.items is not None:
            found["items"] = _plan_json(self.items)
        if self.input is not None:
            found["input"] = {name: value for name, value in self.input._asdict().items() if value is not None}
        return found


NORMAL = Conditions()
"""As the settings say; every sandbox that nobody changed holds this very value."""


def read_conditions(value: Mapping[str, Any]) -> Conditions:
    """The conditions that JSON of the documented form says (`$defs/conditions` in the scenarios' schema)."""
    if not value:
        return NORMAL
    changes = dict(value)
    if "items" in changes:
        changes["items"] = _read_plan(changes["items"])
    if "input" in changes:
        changes["input"] = InputRejection(**changes["input"])
    settings = tuple((name, changes.pop(name)) for name in value if name not in Conditions._fields)
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
