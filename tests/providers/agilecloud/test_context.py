"""What the words of an answer follow from: the seed, the model and the conversation, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from builders import make_engine
from hypothesis import given
from hypothesis import strategies as st

from mockserver.api.call import ApiContext
from mockserver.providers.agilecloud.context import answer_key, context_models

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
