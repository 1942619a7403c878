"""Texts without credentials."""

from hypothesis import given
from hypothesis import strategies as st

from mockserver.contract.recording.redact import Redactor
from mockserver.redaction import redacted_text

SECRET = "0p4que-5ecret"


def in_any_case(word: str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.sampled_from([each.lower(), each.upper()]) for each in word)).map("".join)


@given(st.one_of(in_any_case("bearer"), in_any_case("basic")), st.sampled_from(["", "curl -H 'Authorization: ", "("]))
def test_a_credential_after_the_name_of_its_scheme_is_redacted_in_any_case(scheme: str, before: str) -> None:
    text = redacted_text(f"{before}{scheme} {SECRET}' and more")

    assert SECRET not in text
    assert SECRET not in Redactor().text(f"{scheme} {SECRET}")
    assert text.startswith(before)
    assert text.endswith("' and more")
