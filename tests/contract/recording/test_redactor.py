"""What a recording redacts: named fields, credentials that were sent, e-mail addresses, in any kind of body."""

import io
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.contract.recording import redact
from mockserver.contract.recording.redact import MAX_PLAIN, MAX_SECRETS, Redactor

EMAIL = "ann.b+c@mail.example.com"


def test_the_headers_of_an_answer_are_recorded_without_those_of_its_connection() -> None:
    headers = Redactor(["X-Customer"]).headers(
        [
            ("X-Request-ID", "5"),
            ("x-customer", "Ann"),
            ("X-Contact", EMAIL),
            ("Date", "now"),
            ("Set-Cookie", "a=b"),
            ("X-Api-Key", "k"),
            ("Content-Type", "application/json"),
        ]
    )

    assert headers == {"X-Request-ID": "5", "x-customer": "[redacted]", "X-Contact": "redacted@example.com"}


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ("Ann", "[redacted]"),
        (5, 0),
        (5.5, 0),
        (True, True),
        (False, False),
        (None, None),
        (["Ann", {"a": 1, "b": "x"}], ["[redacted]", {"a": 0, "b": "[redacted]"}]),
    ],
)
def test_a_named_field_keeps_its_type_and_says_nothing(value: Any, redacted: Any) -> None:
    assert Redactor(["Customer"]).value({"rows": [{"customer": value}], "n": 5}) == {
        "rows": [{"customer": redacted}],
        "n": 5,
    }


def test_a_credential_that_was_sent_is_redacted_in_later_texts_and_bytes() -> None:
    redactor = Redactor()
    redactor.learn(["s3cr3t-of-ann"])

    assert redactor.value({"note": "it is s3cr3t-of-ann", "s3cr3t-of-ann": 1}) == {
        "note": "it is [redacted]",
        "[redacted]": 1,
    }
    assert redactor.content(b"\xff s3cr3t-of-ann \xfe") == b"\xff [redacted] \xfe"


def test_the_latest_credentials_are_remembered() -> None:
    redactor = Redactor()
    redactor.learn([f"credential-{n:04}" for n in range(MAX_SECRETS + 1)])

    assert redactor.text("credential-0000") == "credential-0000"
    assert redactor.text("credential-0001") == "[redacted]"
    assert redactor.text("credential-1000") == "[redacted]"


def test_a_token_of_log_probabilities_is_text_and_any_other_is_a_credential() -> None:
    redacted = Redactor().value({"token": "abc", "logprobs": {"content": [{"token": "abc", "top": [{"token": "x"}]}]}})

    assert redacted["token"] != "abc"
    assert redacted["logprobs"] == {"content": [{"token": "abc", "top": [{"token": "x"}]}]}


@pytest.mark.parametrize(
    ("name", "value", "redacted"),
    [
        ("key", "abc", "[redacted]"),
        ("KEY", "abc", "[redacted]"),
        ("api_key", "abc", "[redacted]"),
        ("Customer", "Ann", "[redacted]"),
        ("limit", "5", "5"),
        ("contact", EMAIL, "redacted@example.com"),
    ],
)
def test_arguments_are_redacted_by_their_names(name: str, value: str, redacted: str) -> None:
    assert Redactor(["customer"]).argument(name, value) == redacted


def test_named_fields_inside_a_text_are_redacted() -> None:
    redactor = Redactor(["customer"])

    assert redactor.text('say {"Customer": "Ann \\" B", "n": 1}') == 'say {"Customer": "[redacted]", "n": 1}'
    assert redactor.text("/a?customer=Ann&n=1") == "/a?customer=[redacted]&n=1"
    assert Redactor().text("/a?customer=Ann&n=1") == "/a?customer=Ann&n=1"


def test_lines_of_json_keep_their_ends_and_lines_without_secrets_their_spelling() -> None:
    text = b'{ "a": 1 }\r\n\n{"customer": "Ann"}\r\n{"b":2}'

    assert Redactor(["customer"]).content(text) == b'{ "a": 1 }\r\n\n{"customer":"[redacted]"}\r\n{"b":2}'


@pytest.mark.parametrize("text", [b'{"a": 1}\nnot JSON ann@example.org', b'[1]\n{"a": "ann@example.org"}', b"\n", b""])
def test_other_texts_are_redacted_as_texts(text: bytes) -> None:
    assert Redactor().content(text) == text.replace(b"ann@example.org", b"redacted@example.com")


def packed(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {each: archive.read(each) for each in archive.namelist()}


def test_the_members_of_an_archive_are_redacted_in_their_order() -> None:
    members = {
        "2.json": b'{"customer": "Ann"}',
        "1.json": b'{ "n": 1 }',
        "b.txt": b"to ann@example.org",
        "lines.jsonl": b'{"customer": "Ann"}\n{"n":1}\n',
        "inner.zip": packed({"a.txt": b"ann@example.org"}),
    }

    found = unpacked(Redactor(["customer"]).content(packed(members)))

    assert list(found.items()) == [
        ("2.json", b'{"customer":"[redacted]"}'),
        ("1.json", b'{ "n": 1 }'),
        ("b.txt", b"to redacted@example.com"),
        ("lines.jsonl", b'{"customer":"[redacted]"}\n{"n":1}\n'),
        ("inner.zip", b""),
    ]


def test_the_same_archive_is_recorded_with_the_same_bytes() -> None:
    content = packed({"a.txt": b"x"})

    assert Redactor().content(content) == Redactor().content(content)
    assert zipfile.ZipFile(io.BytesIO(Redactor().content(content))).infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_an_archive_that_cannot_be_read_is_redacted_as_bytes() -> None:
    redactor = Redactor()
    redactor.learn(["s3cr3t-of-ann"])

    assert redactor.content(b"PK\x03\x04 \xff s3cr3t-of-ann") == b"PK\x03\x04 \xff [redacted]"


TEXTS = st.lists(
    st.sampled_from(
        ["plain", "batch", "s3cr3t-of-ann", "x s3cr3t-of-ann", "ann@example.org", "token=abc", "Bearer x1234567"]
    )
    | st.text(max_size=12),
    max_size=6,
)


@given(st.lists(st.tuples(TEXTS, st.sampled_from(["", "s3cr3t-of-ann", "plain-plain-1"])), max_size=4))
def test_what_is_remembered_of_texts_does_not_change_what_is_redacted(rounds: list[tuple[list[str], str]]) -> None:
    remembers = Redactor(["customer"])
    learned: list[str] = []
    for texts, secret in rounds:
        learned += [secret] if secret else []
        remembers.learn(learned)
        fresh = Redactor(["customer"])
        fresh.learn(learned)
        for text in [*texts, *texts, *learned]:
            assert remembers.text(text) == fresh._redacted(text)


def test_only_so_many_texts_are_remembered() -> None:
    redactor = Redactor()
    for n in range(2 * MAX_PLAIN):
        redactor.text(f"text number {n}")

    assert len(redactor._plain) <= MAX_PLAIN


@pytest.mark.parametrize(("length", "is_remembered"), [(64, True), (65, False)])
def test_only_short_texts_are_remembered(length: int, is_remembered: bool) -> None:
    redactor = Redactor()
    text = "-" * length

    redactor.text(text)

    assert (text in redactor._plain) is is_remembered


def test_as_many_texts_are_remembered_as_the_bound_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (MAX_PLAIN, MAX_SECRETS, redact.MAX_UNPACKED) == (4096, 1000, 64 * 1024**2)
    monkeypatch.setattr(redact, "MAX_PLAIN", 3)
    redactor = Redactor()
    sizes = []
    for n in range(5):
        redactor.text(f"text number {n}")
        sizes.append(len(redactor._plain))

    assert sizes == [1, 2, 3, 1, 2]


def test_a_remembered_text_is_redacted_once_it_is_a_credential() -> None:
    redactor = Redactor()
    assert redactor.text("a1b2c3d4") == "a1b2c3d4"

    redactor.learn(["a1b2c3d4"])

    assert redactor.text("a1b2c3d4") == "[redacted]"


@pytest.mark.parametrize(("extra", "is_read"), [(0, True), (1, False)])
def test_an_archive_of_a_bounded_size_is_redacted_by_its_members(
    monkeypatch: pytest.MonkeyPatch, extra: int, is_read: bool
) -> None:
    members = {"a.txt": b"ann@example.org", "b.txt": b"x" * extra}
    monkeypatch.setattr(redact, "MAX_UNPACKED", len(b"ann@example.org"))

    content = Redactor().content(packed(members))

    assert (unpacked(content)["a.txt"] == b"redacted@example.com") is is_read


def test_the_members_of_a_recorded_archive_are_compressed() -> None:
    content = Redactor().content(packed({"a.txt": b"x" * 10_000}))

    assert zipfile.ZipFile(io.BytesIO(content)).infolist()[0].compress_type == zipfile.ZIP_DEFLATED
    assert len(content) < 1000


def test_an_archive_of_which_a_member_is_broken_is_redacted_as_bytes() -> None:
    redactor = Redactor()
    redactor.learn(["s3cr3t-of-ann"])
    content = bytearray(packed({"s3cr3t-of-ann": b"text of the member"}))
    content[content.index(b"text of")] ^= 1

    assert redactor.content(bytes(content)) == bytes(content).replace(b"s3cr3t-of-ann", b"[redacted]")


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ({"password": ""}, {"password": ""}),
        ({"password": 5}, {"password": 5}),
        ({"password": ["abc"]}, {"password": ["[redacted]"]}),
        ({"logprobs": {"password": "abc"}}, {"logprobs": {"password": "abc"}}),
        ({"tokens": ["abc"]}, {"tokens": ["abc"]}),
    ],
)
def test_a_member_is_a_credential_by_its_name_where_it_is_a_text(value: Any, redacted: Any) -> None:
    assert Redactor().value(value) == redacted


def test_lines_of_json_with_other_values_are_redacted_as_a_text() -> None:
    assert Redactor(["customer"]).content(b'{"n": 1}\n["ann@example.org"]\n') == b'{"n": 1}\n["redacted@example.com"]\n'
    assert Redactor(["customer"]).content(b' {"customer": "Ann"}\n') == b'{"customer":"[redacted]"}\n'
