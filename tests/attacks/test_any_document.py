"""Requests to a document without code: headers, forms and XML that would take long, or much memory."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from attack_server import AttackedServer, attacked_server, others_are_served

SHOP = "tests/support/documents/shop.yaml"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Content-Type": "application/xml"}
NAME = "name=Lute&price=1"
DECLARED = '<?xml version="1.0" encoding="utf-16"?>'
ENTITIES = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
ATTACKS: dict[str, tuple[str, bytes | None, dict[str, str]]] = {
    "escaped quotes in Accept": ("GET /products", None, {"Accept": '"' + '\\"' * 25_000}),
    "open quotes in Accept": ("GET /products", None, {"Accept": 'a/b;x="' * 8_000 + "\\"}),
    "many ranges in Accept": ("GET /products", None, {"Accept": "a/b;q=0.1," * 6_000}),
    "deep names in a query": ("GET /products?price" + "[a]" * 15_000 + "=1", None, {}),
    "deep names in a form": ("POST /products", f"{NAME}&dimensions{'[a]' * 100_000}=1".encode(), FORM),
    "deep JSON in a form": (
        "POST /products", f"{NAME}&tags={quote('[' * 900 + ']' * 900)}".encode(), FORM,
    ),
    "tiny values in a form": (
        "POST /products", f"{NAME}&tags=[{'[],' * 3_000_000}[]]".encode(), FORM,
    ),
    "tiny elements": ("POST /products", b"<a>" + b"<b/>" * 200_000 + b"</a>", XML),
    "deep elements": ("POST /products", b"<a>" * 200_000, XML),
    "entities in UTF-16": (
        "POST /products", f"{DECLARED}<!DOCTYPE a [<!ENTITY a 'a'>{ENTITIES}]><a>&j;</a>".encode("utf-16"), XML,
    ),
    "many commas": ("GET /products?colours=" + "|" * 50_000, None, {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def shop() -> Iterator[AttackedServer]:
    with attacked_server("--spec", SHOP, "--stateful") as server:
        yield server


@pytest.mark.parametrize("name", ATTACKS)
def test_a_request_to_any_document_is_answered_while_others_are_served(shop: AttackedServer, name: str) -> None:
    operation, body, headers = ATTACKS[name]
    method, path = operation.split()

    with others_are_served(shop):
        statuses = {shop.request(method, path, body, **headers)[0] for _ in range(3)}

    assert statuses <= {200, 201, 400, 406, 413, 414, 415, 422, 431}
