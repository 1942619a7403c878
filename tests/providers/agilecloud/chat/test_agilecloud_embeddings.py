"""Embeddings: unit vectors that follow from their text, in both encodings."""

import math
from array import array
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from mockserver.errors import Refusal
from mockserver.providers.agilecloud.chat.embeddings import Input, embeddings, read_inputs, vector
from mockserver.providers.agilecloud.models import Model, ModelKind

MODEL = Model("bge-large-en-v1.5", "bge-large-en-v1.5", ModelKind.EMBEDDING, dimensions=1024)


def embed(given: Any, seed: str = "s", model: Model = MODEL, **fields: Any) -> dict[str, Any]:
    return embeddings({"model": model.id, "input": given, **fields}, model=model, seed=seed)


def floats(packed: bytes) -> list[float]:
    return list(array("f", packed))


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_an_embedding_is_what_the_sdk_parses() -> None:
    made = embed(["one text", "another"])

    parsed = CreateEmbeddingResponse.model_validate(made)
    assert [each.index for each in parsed.data] == [0, 1]
    assert [len(each.embedding) for each in parsed.data] == [1024, 1024]
    assert parsed.model == "bge-large-en-v1.5"
    assert parsed.usage.prompt_tokens == parsed.usage.total_tokens == 4


@given(text=st.text(), dimensions=st.integers(1, 300))
def test_a_vector_has_the_length_one(text: str, dimensions: int) -> None:
    made = floats(vector(text, "bge", "s", dimensions))

    assert len(made) == dimensions
    assert math.hypot(*made) == pytest.approx(1, abs=1e-6)


def test_the_same_text_has_the_same_vector_and_resembles_no_other() -> None:
    texts: list[Input] = ["tea", "Tea", "tea ", "coffee", [7, 8], [78]]
    made = [floats(vector(text, "bge", "s", 1024)) for text in texts]

    assert made[0] == floats(vector("tea", "bge", "s", 1024))
    for n, one in enumerate(made):
        assert all(abs(cosine(one, other)) < 0.2 for other in made[:n])


def test_seed_and_model_are_part_of_a_vector() -> None:
    assert len({vector("tea", model, seed, 8) for model in ("a", "b") for seed in ("1", "2")}) == 4


def test_an_alias_makes_the_vectors_of_its_model() -> None:
    alias = MODEL._replace(id="bge")

    assert embed("tea", model=alias)["data"] == embed("tea")["data"]
    assert embed("tea", model=alias)["model"] == "bge"


@given(text=st.text())
def test_both_encodings_hold_the_same_numbers(text: str) -> None:
    packed = b64decode(embed(text, encoding_format="base64")["data"][0]["embedding"])

    assert tuple(floats(packed)) == embed(text, encoding_format="float")["data"][0]["embedding"]


@given(dimensions=st.integers(1, 1023))
def test_a_shorter_vector_is_the_normalised_beginning_of_the_longer_one(dimensions: int) -> None:
    short = embed("tea", dimensions=dimensions)["data"][0]["embedding"]
    beginning = embed("tea")["data"][0]["embedding"][:dimensions]

    assert len(short) == dimensions
    assert cosine(short, beginning) == pytest.approx(math.hypot(*beginning), abs=1e-6)


def test_no_vector_is_longer_than_its_model_s() -> None:
    with pytest.raises(Refusal, match="Must be less than or equal to 1024") as caught:
        embed("tea", dimensions=1025)

    assert caught.value.violations[0].location == ("body", "dimensions")


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("tea", ["tea"]),
        (["tea", ""], ["tea", ""]),
        ([1, 2, 3], [[1, 2, 3]]),
        ([[1], [2, 3]], [[1], [2, 3]]),
        ([], []),
    ],
)
def test_inputs_are_texts_or_tokens_one_or_several(given: Any, inputs: Any) -> None:
    assert read_inputs(given) == inputs


def test_tokens_count_as_they_are() -> None:
    assert embed([[1, 2, 3], [4]])["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
