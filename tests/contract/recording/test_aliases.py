"""Aliases: which ids of a recording are replaced, by what, and which stay."""

from typing import Any

import pytest

from mockserver.contract.recording import aliases as module
from mockserver.contract.recording.aliases import Aliases, alias_of
from mockserver.contract.recording.redact import Redactor
from mockserver.fixtures.ids import is_generated_id, is_id_name

UUID = "0f9b1c2d-3e4f-5a6b-7c8d-9e0f1a2b3c4d"
ID = "batch_8f3kd93kd02k"


@pytest.mark.parametrize(
    ("text", "is_generated"),
    [
        (UUID, True),
        (UUID.upper(), True),
        (ID, True),
        ("a1" * 5, True),
        ("a1" * 4 + "b", False),
        ("a1" * 100, True),
        ("a1" * 101, False),
        ("123456789012", True),
        ("12345678901", False),
        ("gpt-4o-mini", False),
        ("conversation", False),
        ("x", False),
        ("", False),
    ],
)
def test_an_id_that_looks_made_by_a_machine_is_recognised(text: str, is_generated: bool) -> None:
    assert is_generated_id(text) is is_generated


@pytest.mark.parametrize(
    ("name", "is_id"),
    [
        ("id", True),
        ("ID", True),
        ("uuid", True),
        ("batch_id", True),
        ("file_ids", True),
        ("batchId", True),
        ("batchID", True),
        ("batchIds", True),
        ("x" * 198 + "id", True),
        ("x" * 199 + "id", False),
        ("custom_id", False),
        ("customId", False),
        ("IDEA", False),
        ("model", False),
    ],
)
def test_a_member_that_holds_an_id_is_known_by_its_name(name: str, is_id: bool) -> None:
    assert is_id_name(name) is is_id


def test_the_ids_of_an_answer_are_replaced_wherever_they_occur() -> None:
    aliases = Aliases()
    aliases.learn({"id": ID, "rows": [{"file_ids": ["file-a1b2c3d4e5"]}], "model": "a1b2c3d4e5f6", "n": 5, "to": None})

    text = aliases.text(f"GET /v1/batches/{ID}?after=file-a1b2c3d4e5&model=a1b2c3d4e5f6")

    assert ID not in text
    assert "file-a1b2c3d4e5" not in text
    assert text.endswith("&model=a1b2c3d4e5f6")
    assert aliases.count == 2


def test_an_alias_has_the_form_of_its_id() -> None:
    made = {each: alias_of(each, 1) for each in (ID, UUID, "REQ9K8J7H6G5F", "888888888888888")}

    assert made[ID].startswith("batch_")
    assert made[UUID].count("-") == 4
    assert set(made[UUID]) <= set("0123456789abcdef-")
    assert made["REQ9K8J7H6G5F"].isupper()
    assert made["888888888888888"].isdigit()
    assert all(len(alias) == len(id_) and alias != id_ for id_, alias in made.items())
    assert alias_of(ID, 1) != alias_of(ID, 2)


def test_the_same_ids_get_the_same_aliases_in_a_second_recording_of_the_run() -> None:
    first, second = Aliases(), Aliases()
    first.learn({"id": "batch_1a1a1a1a1a1a"})
    second.learn({"id": "batch_2b2b2b2b2b2b"})

    assert first.text("batch_1a1a1a1a1a1a") == second.text("batch_2b2b2b2b2b2b")


def test_a_later_session_of_a_recording_makes_other_aliases() -> None:
    first, later = Aliases(), Aliases(taken=1)
    first.learn({"id": ID})
    later.learn({"id": ID})

    assert first.text(ID) != later.text(ID)
    assert later.count == 2


def test_an_alias_is_not_replaced_again() -> None:
    aliases = Aliases()
    aliases.learn({"id": ID})
    alias = aliases.text(ID)

    aliases.learn({"id": alias})

    assert aliases.text(alias) == alias
    assert aliases.count == 1


def test_a_uuid_is_replaced_in_any_member_and_inside_other_texts() -> None:
    aliases = Aliases()
    aliases.learn({"note": f"see {UUID}."})

    assert UUID not in aliases.text(f"https://api.example/jobs/{UUID}/parts")
    assert UUID not in aliases.text(f"job-{UUID}")
    assert aliases.text("job-x-y-z") == "job-x-y-z"


@pytest.mark.parametrize("sent", [ID, [ID], {"to": {"all": [ID]}}])
def test_an_id_that_the_client_brought_along_stays(sent: Any) -> None:
    aliases = Aliases()
    aliases.keep(sent)
    aliases.learn({"id": ID, "other_id": UUID})

    assert aliases.text(ID) == ID
    assert aliases.text(UUID) != UUID


def test_a_uuid_inside_a_text_of_the_client_stays() -> None:
    aliases = Aliases()
    aliases.keep(f"about {UUID}")
    aliases.learn({"id": UUID})

    assert aliases.text(UUID) == UUID


def test_an_id_of_an_answer_is_replaced_though_the_client_sends_it_later() -> None:
    aliases = Aliases()
    aliases.learn({"id": ID})
    aliases.keep({"id": ID})
    aliases.learn({"id": ID})

    assert aliases.text(ID) != ID


@pytest.mark.parametrize("value", ["", 5, None, True, "x" * 201, f"{UUID} " * 6])
def test_what_is_no_short_text_is_not_kept_nor_replaced(value: Any) -> None:
    aliases = Aliases()
    aliases.keep({"id": value})
    aliases.learn({"id": value, "note": value})
    aliases.learn({"id": UUID})

    assert aliases.count == 1
    assert aliases.text(UUID) != UUID


def test_names_and_texts_of_a_value_are_replaced_and_other_values_stay() -> None:
    aliases = Aliases()
    aliases.learn({"id": ID})
    alias = aliases.text(ID)

    value = Redactor().value({ID: [ID, 5, None, True, {"x": ID}]}, aliases=aliases, found=set())

    assert value == {alias: [alias, 5, None, True, {"x": alias}]}


def test_known_ids_are_found_in_a_value() -> None:
    aliases = Aliases()
    aliases.learn({"id": ID, "row_id": 7, "name_id": "mine", "n": 8, "flag_id": None})
    alias = aliases.text(ID)

    assert ids_in(aliases, {"path": ["jobs", alias], "row_id": 7, "n": 7, "to": "mine"}) == {alias, "7", "mine"}
    assert ids_in(aliases, {"n": 7, "row_id": 8, "text": f"in {alias}"}) == set()


def ids_in(aliases: Aliases, value: Any) -> set[str]:
    found: set[str] = set()
    Redactor().value(value, aliases=aliases, found=found)
    return found


def test_the_aliases_of_a_recording_are_the_same_on_any_machine() -> None:
    aliases = Aliases()
    aliases.learn([{"id": ID}, {"id": UUID.upper()}, {"id": "123456789012"}])

    assert (aliases.text(ID), aliases.text(UUID.upper()), aliases.text("123456789012")) == (
        "batch_5n2df71mm39n", "3E2E3C3E-e3d1-bEa9-866C-dC4643865523", "172126180004"
    )  # fmt: skip
    assert [alias_of("a1" * 100, 1)[at : at + 4] for at in (0, 60, 64, 196)] == ["f7df", "e71b", "f7df", "e898"]


@pytest.mark.parametrize("length", [10, 200])
def test_ids_of_10_to_200_characters_that_the_client_brought_along_stay(length: int) -> None:
    text = ("a1" * 100)[:length]
    aliases = Aliases()
    aliases.keep(text)

    aliases.add(text)
    aliases.add(UUID)

    assert aliases.count == 1
    assert aliases.text(text) == text


@pytest.mark.parametrize(("length", "is_known"), [(1, True), (200, True), (201, False)])
def test_an_id_of_up_to_200_characters_is_recognised_in_later_requests(length: int, is_known: bool) -> None:
    aliases = Aliases()
    aliases.learn({"id": "x" * length})

    assert ids_in(aliases, {"to": "x" * length}) == ({"x" * length} if is_known else set())


@pytest.mark.parametrize("length", [10, 200])
def test_an_id_of_10_or_200_characters_is_replaced(length: int) -> None:
    id_ = ("a1" * 100)[:length]
    aliases = Aliases()
    aliases.learn({"id": id_})

    assert aliases.text(id_) == alias_of(id_, 1) != id_
    assert aliases.text(f"/jobs/{id_}?x") == f"/jobs/{alias_of(id_, 1)}?x"


def test_an_id_of_letters_only_within_a_uuid_is_replaced_in_texts_without_digits() -> None:
    letters = "abcdefab-abcd-abcd-abcd-abcdefabcdef"
    aliases = Aliases()
    aliases.learn([{"id": ID}, {"id": letters}, {"id": UUID}])

    assert aliases.text(letters) == alias_of(letters, 2)
    assert aliases.text(ID) == alias_of(ID, 1)


def test_a_recording_has_a_bounded_number_of_aliases(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.MAX_IDS == 100_000
    monkeypatch.setattr(module, "MAX_IDS", 2)
    ids = [f"batch_{n}f3kd93kd02k" for n in range(4)]
    aliases = Aliases()
    for each in ids:
        aliases.learn({"id": each})
    sent = Aliases()
    sent.keep(ids)
    for each in ids[1:3]:
        sent.learn({"id": each})

    assert [aliases.text(each) != each for each in ids] == [True, True, False, False]
    assert [sent.text(each) != each for each in ids[1:3]] == [False, True]


def test_a_number_is_an_id_where_its_name_says_so() -> None:
    aliases = Aliases()
    aliases.learn({"row_id": 7, "n": 8, "ratio_id": 1.5, "ids": [9]})

    assert ids_in(aliases, {"row_id": 7, "n": 7}) == {"7"}
    assert ids_in(aliases, {"row_id": 8, "other_id": 1.5}) == set()
    assert ids_in(aliases, {"row_ids": [9, 10]}) == {"9"}


def test_a_name_of_ten_characters_that_becomes_an_id_later_is_replaced_from_then_on() -> None:
    aliases, redactor = Aliases(), Redactor()
    name = "a1" * 5
    assert redactor.value({name: "x-y-z-1-2-3"}, aliases=aliases) == {name: "x-y-z-1-2-3"}

    aliases.learn({"id": name})

    assert redactor.value({name: 1}, aliases=aliases) == {alias_of(name, 1): 1}
