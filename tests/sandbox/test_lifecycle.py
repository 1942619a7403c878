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


def test_a_life_may_be_seen_at_any_later_stage() -> None:
    later = {before: {after for after in Stage if LIFE.allows(before, after)} for before in Stage}

    assert later == {
        Stage.EGG: set(Stage),
        Stage.LARVA: {Stage.LARVA, Stage.PUPA, Stage.MOTH},
        Stage.PUPA: {Stage.PUPA, Stage.MOTH},
        Stage.MOTH: {Stage.MOTH},
        Stage.EATEN: {Stage.EATEN},
    }


def test_a_life_that_goes_in_circles_can_still_be_judged() -> None:
    circle = Lifecycle({Stage.EGG: {Stage.MOTH}, Stage.MOTH: {Stage.EGG}, Stage.EATEN: set()})

    assert circle.allows(Stage.MOTH, Stage.EGG)
    assert not circle.allows(Stage.EGG, Stage.EATEN)


def test_a_stage_is_final_when_nothing_follows() -> None:
    assert [stage for stage in Stage if LIFE.is_final(stage)] == [Stage.MOTH, Stage.EATEN]
