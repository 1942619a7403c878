"""Accounts: opened at first use, as files or the token's own words say."""

from collections.abc import Callable
from typing import Any

import pytest
from builders import make_rows

from mockserver.redaction import account_key
from mockserver.sandbox.accounts import (
    DEFAULT_CREDITS,
    Accounts,
    AccountSpec,
    Charge,
    account_from_token,
    email_of,
    facts_of,
    reserved_status,
)

START = 1_700_000_000.0


def collections() -> Callable[[str, Any], Any]:
    """Gives collections by name, each empty at first."""
    rows: dict[str, Any] = {}
    return lambda name, _: rows.setdefault(name, make_rows())


@pytest.mark.parametrize(
    ("token", "credits", "revoked"),
    [
        ("anything", DEFAULT_CREDITS, False),
        ("", DEFAULT_CREDITS, False),
        ("mock-no-credits", 0, False),
        ("mock-no-credits-here", 0, False),
        ("mock-no-credits_2", 0, False),
        ("mock-no-creditsX", DEFAULT_CREDITS, False),
        ("mock-credits-12", 12, False),
        ("mock-credits-12-mine", 12, False),
        ("mock-credits-0", 0, False),
        ("mock-credits-007", 7, False),
        ("mock-credits-999999999999999", 999_999_999_999_999, False),
        ("mock-credits-9999999999999999", DEFAULT_CREDITS, False),
        ("mock-credits-12x", DEFAULT_CREDITS, False),
        ("mock-credits-", DEFAULT_CREDITS, False),
        ("mock-credits--5", DEFAULT_CREDITS, False),
        ("mock-credits-٣", DEFAULT_CREDITS, False),
        ("mock-revoked", DEFAULT_CREDITS, True),
        ("mock-revoked-since-may", DEFAULT_CREDITS, True),
        ("mock-revokedly", DEFAULT_CREDITS, False),
        ("a-mock-revoked", DEFAULT_CREDITS, False),
        ("mock-status-402", DEFAULT_CREDITS, False),
        ("Mock-No-Credits", DEFAULT_CREDITS, False),
    ],
)
def test_magic_tokens_determine_the_account(token: str, credits: int, revoked: bool) -> None:
    assert account_from_token(token) == AccountSpec(account_key(token), email_of(token), credits, revoked)


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("mock-status-402", 402),
        ("mock-status-503-soon", 503),
        ("mock-status-100", None),
        ("mock-status-099", None),
        ("mock-status-600", None),
        ("mock-status-4020", None),
        ("mock-status-40", None),
        ("mock-status-", None),
        ("mock-no-credits", None),
        ("mock-credits-402", None),
        ("anything", None),
    ],
)
def test_a_token_may_ask_for_a_status(token: str, status: int | None) -> None:
    assert reserved_status(token) == status


def test_e_mail_addresses_differ_by_account_and_do_not_contain_the_token() -> None:
    assert email_of("secret") == email_of("secret") != email_of("secret2")
    assert "secret" not in email_of("secret")
    assert email_of("ключ").endswith("@example.com")


KNOWN = {
    facts.key: facts
    for facts in (facts_of("known", "known@example.com", 7), facts_of("mock-revoked", "m@example.com", 3))
}


def test_an_account_is_opened_once_when_its_token_is_first_used() -> None:
    accounts = Accounts(KNOWN, collections=collections())

    opened = accounts.find("known", START, magic=True)

    assert opened is not None
    assert (opened.email, accounts.balance(opened, START), opened.entries) == (
        "known@example.com",
        7,
        (Charge(START, 7, "opened"),),
    )
    assert accounts.find("known", START + 9, magic=True) is opened
    assert accounts.every() == [opened]


@pytest.mark.parametrize(
    ("token", "closed", "magic", "credits"),
    [
        ("known", True, True, 7),
        ("known", False, False, 7),
        ("mock-revoked", False, True, 3),
        ("mock-no-credits", False, True, 0),
        ("mock-no-credits", False, False, DEFAULT_CREDITS),
        ("mock-no-credits", True, True, None),
        ("anything", False, True, DEFAULT_CREDITS),
        ("anything", True, False, None),
    ],
)
def test_account_files_have_precedence_over_magic_tokens_and_closed_ones_exclude_others(
    token: str, closed: bool, magic: bool, credits: int | None
) -> None:
    accounts = Accounts(KNOWN, closed={"": frozenset(KNOWN)} if closed else {}, collections=collections())

    found = accounts.find(token, START, magic=magic)

    assert (accounts.balance(found, START) if found else None) == credits
    assert len(accounts.every()) == (found is not None)


def test_the_admin_api_may_create_accounts_in_a_closed_api() -> None:
    accounts = Accounts({}, closed={"": frozenset()}, collections=collections())

    opened = accounts.open(facts_of("mine", "mine@example.com", 3, revoked=True), START)

    assert accounts.find("mine", START, magic=True) is opened
    assert (opened.key, opened.revoked, accounts.balance(opened, START)) == (account_key("mine"), True, 3)
    assert accounts.with_key(opened.key) is opened
    assert accounts.every() == [opened]
