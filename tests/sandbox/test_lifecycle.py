"""Lifecycles: what is not in the table cannot happen."""

from enum import StrEnum

from mockserver.sandbox.batches import Lifecycle


class Stage(StrEnum):
    EGG = "egg"
    LARVA = "larva"
    PUPA = "pupa"
    MOTH = "moth"
    EATEN = "eaten"


LIFE = Lifecycle(
    {
        Stage.EGG: {Stage.LARVA, Stage.EATEN},
        Stage.LARVA: {Stage.PUPA},
        Stage.PUPA: {Stage.MOTH},
        Stage.MOTH: set(),
        Stage.EATEN: set(),
    }
)


def test_a_status_may_be_followed_by_any_later_one() -> None:
    later = {before: {after for after in Stage if LIFE.allows(before, after)} for before in Stage}

    assert later == {
        Stage.EGG: set(Stage),
        Stage.LARVA: {Stage.LARVA, Stage.PUPA, Stage.MOTH},
        Stage.PUPA: {Stage.PUPA, Stage.MOTH},
        Stage.MOTH: {Stage.MOTH},
        Stage.EATEN: {Stage.EATEN},
    }


def test_a_lifecycle_with_a_cycle_can_be_checked() -> None:
    circle = Lifecycle({Stage.EGG: {Stage.MOTH}, Stage.MOTH: {Stage.EGG}, Stage.EATEN: set()})

    assert circle.allows(Stage.MOTH, Stage.EGG)
    assert not circle.allows(Stage.EGG, Stage.EATEN)


def test_a_status_is_final_when_none_follows() -> None:
    assert [stage for stage in Stage if LIFE.is_final(stage)] == [Stage.MOTH, Stage.EATEN]
