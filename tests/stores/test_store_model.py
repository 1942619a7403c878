"""Each shared store does what dictionaries would, whatever is done in which of two processes."""

from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from shared_stores import ENGINES

from mockserver.errors import Conflict
from mockserver.stores.retry import retried

KEYS = st.sampled_from(["a", "b", "c", "d"])
NAMES = st.sampled_from(["things", "others"])
WHO = st.sampled_from([0, 1])
VALUES = st.one_of(st.integers(-3, 3), st.text(max_size=3), st.lists(st.integers(0, 9), max_size=3))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), NAMES, KEYS, VALUES),
        st.tuples(st.just("delete"), NAMES, KEYS),
        st.tuples(st.just("get"), NAMES, KEYS),
        st.tuples(st.just("items"), NAMES),
        st.tuples(st.just("size"), NAMES),
        st.tuples(st.just("clear"), st.sampled_from([frozenset(), frozenset({"others"})])),
    ),
    min_size=1,
    max_size=8,
)
Model = dict[str, dict[str, Any]]


class StoreMachine(RuleBasedStateMachine):
    """Two stores over one engine, and a model: by collection the values by key."""

    engine = "sqlite"

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        opening = self.stack.enter_context(ENGINES[self.engine]())
        self.stores = [opening(), opening()]
        self.model: Model = {"things": {}, "others": {}}

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    @rule(who=WHO, steps=STEPS)
    def commit(self, who: int, steps: list[Any]) -> None:
        partition = self.stores[who].open("sandbox")

        def work() -> Model:
            model = {name: dict(values) for name, values in self.model.items()}
            with partition.transaction:
                for step in steps:
                    do(step, partition, model)
            return model

        self.model = retried(work)

    @rule(who=WHO, steps=STEPS)
    def roll_back(self, who: int, steps: list[Any]) -> None:
        partition = self.stores[who].open("sandbox")

        def work() -> None:
            model = {name: dict(values) for name, values in self.model.items()}
            with partition.transaction:
                for step in steps:
                    do(step, partition, model)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            retried(work)

    @rule(who=WHO, several=st.lists(STEPS, min_size=1, max_size=3), rivals=st.integers(0, 1))
    def commit_together(self, who: int, several: list[list[Any]], rivals: int) -> None:
        """Transactions with one commit, at first while another process changes the sandbox."""
        store, other = self.stores[who], self.stores[1 - who].open("sandbox")
        partition = store.open("sandbox")

        def work(steps: list[Any], model: Model) -> None:
            with partition.transaction:
                for step in steps:
                    do(step, partition, model)

        while True:
            model = {name: dict(values) for name, values in self.model.items()}
            tickets: list[Any] = []
            try:
                for steps in several:
                    store.group.run(work, steps, model)
                    tickets.append(store.group.latest)
            except Conflict:
                continue
            if rivals:
                rivals = 0
                other.rows("things").put("rival", [len(self.model["things"])])
                self.model["things"]["rival"] = [len(self.model["things"])]
            store.group.commit()
            if all(ticket is None or ticket.is_committed for ticket in tickets):
                break
        if any(tickets):
            self.model = model

    @rule(who=WHO, key=KEYS, value=VALUES)
    def conflict(self, who: int, key: str, value: Any) -> None:
        """A change of another process in the middle of a transaction."""
        partition, other = self.stores[who].open("sandbox"), self.stores[1 - who].open("sandbox")
        with pytest.raises(Conflict), partition.transaction:
            other.rows("things").put("a", [value])
            other.rows("things").put("a", value)  # if both were known, neither would be a change
            partition.rows("things").put(key, "lost")
            partition.rows("others").get(key)
        self.model["things"]["a"] = value

    @rule(who=WHO)
    def drop(self, who: int) -> None:
        self.stores[who].drop("sandbox")
        self.model = {"things": {}, "others": {}}

    @rule(who=WHO)
    def forget(self, who: int) -> None:
        self.stores[who].release("sandbox")

    @precondition(lambda self: hasattr(self, "stores"))
    @invariant()
    def both_show_the_model(self) -> None:
        for store in self.stores:
            for name, values in self.model.items():
                rows = store.open("sandbox").rows(name)
                assert list(rows.latest(1, 2)) == list(reversed(values.values()))[1:3]
                assert list(rows.pick([*values, "none"])) == [*values.values(), None]
                assert list(rows.items()) == list(values.items())
                assert len(rows) == len(values)


PHASES = [Phase.explicit, Phase.generate, Phase.shrink]


def do(step: Any, partition: Any, model: Model) -> None:
    """Do a step in a store and in its model, and compare what is read."""
    kind, *given = step
    if kind == "clear":
        (keep,) = given
        partition.clear(keep=keep)
        for name in set(model) - keep:
            model[name].clear()
        return
    name, *given = given
    rows, values = partition.rows(name), model[name]
    if kind == "put":
        rows.put(*given)
        values.__setitem__(*given)
    elif kind == "delete":
        rows.delete(*given)
        values.pop(given[0], None)
    elif kind == "get":
        assert rows.get(*given) == values.get(*given)
    elif kind == "items":
        assert list(rows.items()) == list(values.items())
    else:
        assert len(rows) == len(values)


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_a_store_does_what_dictionaries_would(engine: str) -> None:
    machine = type("Machine", (StoreMachine,), {"engine": engine})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=15, phases=PHASES))
