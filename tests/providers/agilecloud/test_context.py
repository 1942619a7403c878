"""What the words of an answer follow from: the seed, the model and the conversation, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from builders import make_engine
from hypothesis import given
from hypothesis import strategies as st

from mockserver.api.call import ApiContext
from mockserver.errors import Refusal
from mockserver.providers.agilecloud.context import answer_key, context_models, known_model

MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "developer", "tool"]), "content": st.text(max_size=3)},
    optional={"name": st.text(max_size=2)},
)
TALKS = st.lists(MESSAGES, max_size=3)


@pytest.fixture(scope="module")
def world() -> ApiContext:
    return next(each.world for each in make_engine().services if each.operation.key == "createBatch")


@given(one=TALKS, other=TALKS)
def test_a_conversation_has_a_key_of_its_own_however_its_members_are_ordered(
    world: ApiContext, one: list[Any], other: list[Any]
) -> None:
    model = context_models(world)["gpt-4o-mini"]
    reordered = [dict(reversed(message.items())) for message in one]

    key = answer_key(world, model, one)

    assert key == answer_key(world, model, reordered)
    assert (key == answer_key(world, model, other)) == (one == other)


def test_the_key_depends_on_the_seed_and_the_model_and_not_on_its_alias(world: ApiContext) -> None:
    models, talk = context_models(world), [{"role": "user", "content": "Which river?"}]
    reseeded = world._replace(settings=replace(world.settings, seed="another"))

    keys = [answer_key(world, models[name], talk) for name in ("qwen2.5-3b-instruct", "qwen-2.5-3b", "gpt-4o")]
    keys.append(answer_key(reseeded, models["gpt-4o"], talk))

    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_the_key_of_a_conversation_is_the_same_in_every_version(world: ApiContext) -> None:
    model = context_models(world)["gpt-4o-mini"]
    talks: list[list[dict[str, Any]]] = [
        [],
        *([{"role": role, "content": "hi"}] for role in ("system", "user", "assistant", "developer", "tool", "other")),
        [{"role": "user", "content": "hi", "name": "Ann"}],
        [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}],
    ]

    keys = [answer_key(world, model, talk).hex() for talk in talks]

    assert keys == [
        "fd21d734c81da6d6",
        "a89f26abc7423b49",
        "b443d234da8ac359",
        "155c42afca77383a",
        "4fc1bb333f107f53",
        "734cb6c415f15b5b",
        "48553116df9f2ea9",
        "ec3db0284483fd8b",
        "ae00cd0272f61f8d",
        "e2e3669e9da17753",
    ]


def test_an_unknown_model_is_named_up_to_100_characters(world: ApiContext) -> None:
    for length in (100, 101):
        with pytest.raises(Refusal, match=f"^Model '{'x' * 100}' not found\\.$"):
            known_model(world, "x" * length)
