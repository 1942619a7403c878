"""Which sandbox is evicted: the least recently used one that may go."""

from mockserver.sandbox.deferred_free import AT_ONCE, DeferredFree
from mockserver.sandbox.eviction import EvictionOrder


class Candidate:
    def __init__(self, used: int) -> None:
        self.used = used
        self.is_kept = False


def make(count: int) -> list[Candidate]:
    return [Candidate(used) for used in range(count)]


def may_go(candidate: Candidate) -> bool:
    return not candidate.is_kept


def test_the_least_recently_used_goes_first() -> None:
    candidates = make(20)
    order = EvictionOrder[Candidate]()

    gone = []
    while candidates:
        found = order.longest(lambda: candidates, may_go)
        assert found is not None
        gone.append(found.used)
        candidates.remove(found)

    assert gone == list(range(20))
    assert order.longest(lambda: candidates, may_go) is None


def test_one_that_was_used_since_or_may_not_go_is_passed_over() -> None:
    candidates = make(20)
    order = EvictionOrder[Candidate]()
    assert order.longest(lambda: candidates, may_go) is candidates[0]

    candidates[1].used = 99
    candidates[2].is_kept = True

    assert order.longest(lambda: candidates[1:], may_go) is candidates[3]


def test_a_search_is_remembered_for_an_eighth_of_the_candidates() -> None:
    candidates, searches = make(16), 0
    order = EvictionOrder[Candidate]()

    def search() -> list[Candidate]:
        nonlocal searches
        searches += 1
        return candidates

    assert [each.used for each in (order.longest(search, may_go) for _ in range(3)) if each] == [0, 1, 2]
    assert searches == 1
    order.longest(search, may_go)
    assert searches == 2


def test_one_that_is_gone_is_passed_over() -> None:
    candidates = make(16)
    order = EvictionOrder[Candidate]()
    order.longest(lambda: candidates, may_go)

    del candidates[1]

    found = order.longest(lambda: candidates, may_go)
    assert found is not None
    assert found.used == 2


def test_a_small_collection_is_freed_at_once_and_a_large_one_in_steps() -> None:
    later = DeferredFree()
    small, large = dict.fromkeys(range(AT_ONCE)), [*range(10)]

    later.add(small)
    assert (small, len(later)) == ({}, 0)

    later._waiting.extend([large, dict.fromkeys(range(3))])  # as `add` does, without its thread
    assert later.sweep(4)
    assert (len(large), len(later)) == (6, 2)
    assert later.sweep(8)
    assert (len(large), len(later)) == (0, 1)
    assert not later.sweep(8)
    assert len(later) == 0
