"""Schemas and patterns from clients: each answer has one budget, and beyond it the request is refused in words."""

import contextlib
import http.client
import json
import threading
from typing import Any

import pytest
from attack_server import AttackedServer, attacked_server, others_are_served

CHAT = "/v1/chat/completions"
SLOW = {"type": "string", "minLength": 1, "format": "x", "pattern": "^(([a-z])+.)+[A-Z]$"}


def nested(levels: int, inner: dict[str, Any]) -> dict[str, Any]:
    for _ in range(levels):
        inner = {"type": "array", "minItems": 100, "items": inner}
    return inner


def tree(word: str, levels: int) -> dict[str, Any]:
    """A schema with 2**levels paths from its root to its leaf."""
    parts = {f"a{n}": {word: [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$ref": "#/$defs/a0", "$defs": {**parts, f"a{levels}": {"type": "string"}}}


def twice(inner: dict[str, Any]) -> dict[str, Any]:
    """Two schemas for the same member, each of which is the whole again."""
    return {"allOf": [{"type": "object", "required": ["a"], "properties": {"a": inner}}, {"properties": {"a": inner}}]}


ATTACKS: dict[str, Any] = {
    "groups that abort": {"type": "string", "pattern": "(a|b)" * 50_000},
    "groups that abort, shorter": {"type": "string", "pattern": "()" * 2_400},
    "long alternatives": {"type": "string", "pattern": "(?:a|b)" * 50_000},
    "nested counts": {"type": "string", "pattern": "((a{50}){50}){50}"},
    "deeper counts": {"type": "string", "pattern": "(((((a{9}){9}){9}){9}){9}){9}"},
    "nested stars": {"type": "string", "pattern": "^((((((a*)*)*)*)*)*)*b{5}$"},
    "unicode counts": {"type": "string", "pattern": r"(\p{L}{99}){99}"},
    "look-around": {"type": "string", "pattern": "^(?=(a+)+$)"},
    "backreference": {"type": "string", "pattern": r"^(a+)+\1$"},
    "hard strings": {"type": "array", "minItems": 100, "items": SLOW},
    "hard prefix": {"type": "array", "prefixItems": [SLOW] * 2_000},
    "nested arrays": nested(4, {"type": "string", "minLength": 10_000}),
    "required": {"type": "object", "required": [f"p{n}" for n in range(30_000)]},
    "large enum": {"enum": [f"v{n}" for n in range(100_000)]},
    "crossed enums": {"allOf": [{"enum": list(range(4_000))}, {"enum": list(range(4_000))}]},
    "large const": {"const": "x" * 3_000_000},
    "tree of allOf": tree("allOf", 40),
    "tree of anyOf": tree("anyOf", 40),
    "tree of oneOf": tree("oneOf", 40),
    "both members": twice({"$ref": "#"}),
    "itself": {"$ref": "#"},
    "allOf itself": {"allOf": [{"$ref": "#"}]},
    "if itself": {"if": {"$ref": "#"}},
    "dynamic": {"$dynamicRef": "#"},
    "zero step": {"type": "number", "multipleOf": 0},
    "negative step": {"type": "integer", "multipleOf": -3},
    "items that contradict": {"type": "array", "minItems": 9, "maxItems": 2, "items": {"type": "null"}},
    "items that cannot differ": {"type": "array", "minItems": 90, "uniqueItems": True, "items": {"enum": [1, 2]}},
    "dependent": {"type": "object", "required": ["a"], "dependentRequired": {"a": ["b"]}},
    "names": {"type": "object", "minProperties": 90, "propertyNames": {"pattern": "^(a+)+$"}},
    "not at all": {"not": {}},
    "branches": {"type": "array", "minItems": 100, "items": {"anyOf": [{"required": [str(n)]} for n in range(1500)]}},
    "formats": {"type": "array", "minItems": 100, "items": {"type": "string", "format": "email", "maxLength": 2}},
    "patterns": {"properties": {f"p{n}": {"type": "string", "pattern": f"a{n}"} for n in range(500)}},
}


def chat(schema: Any, **more: Any) -> dict[str, Any]:
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Tell me of tides"}],
        "response_format": form,
        **more,
    }


def ask(server: AttackedServer, body: Any, token: str = "attacker") -> tuple[int, dict[str, Any]]:
    status, answer = server.request("POST", CHAT, json.dumps(body).encode(), token=token)
    return status, json.loads(answer)


def test_a_costly_schema_is_rejected_with_a_message_and_delays_no_other_request() -> None:
    with attacked_server() as server:
        at_rest = server.resident()
        with others_are_served(server):
            for name, schema in ATTACKS.items():
                status, answer = ask(server, chat(schema))
                assert status == 400, (name, answer)
                assert answer["error"]["code"] == "invalid_schema", name
                assert answer["error"]["message"].startswith("Invalid schema for response_format 'answer': "), name

        assert server.resident() - at_rest < 150 * 1024 * 1024


def test_many_costly_requests_at_once_do_not_starve_others() -> None:
    dear = ("hard strings", "nested stars", "nested arrays", "branches", "tree of allOf", "both members")
    with attacked_server() as server, others_are_served(server):
        attackers = [
            threading.Thread(target=ask, args=(server, chat(ATTACKS[dear[n % len(dear)]], n=128), f"attacker-{n}"))
            for n in range(20)
        ]
        for each in attackers:
            each.start()
        for each in attackers:
            each.join()


@pytest.mark.parametrize("name", ["hard strings", "zero step", "tree of allOf", "groups that abort, shorter"])
def test_a_tool_s_parameters_have_the_same_budget(name: str) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": ATTACKS[name]}}
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Tell me of tides"}], "tools": [tool]}
    with attacked_server() as server, others_are_served(server):
        status, answer = ask(server, {**body, "tool_choice": "required"})

    assert status == 400
    assert answer["error"]["code"] in {"invalid_function_parameters", "invalid_schema"}


def test_lines_of_a_batch_that_cost_too_much_are_in_its_error_file() -> None:
    names = [name for name in ATTACKS if name not in {"large enum", "large const"}]
    lines = [
        json.dumps({"custom_id": name, "method": "POST", "url": CHAT, "body": chat(ATTACKS[name])}) for name in names
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="a.jsonl"'
    purpose = ("--b", 'Content-Disposition: form-data; name="purpose"', "", "batch")
    form = "\r\n".join((*purpose, "--b", head, "", "\n".join(lines), "--b--", ""))
    with attacked_server("--progression", "immediate") as server, others_are_served(server):
        kind = "multipart/form-data; boundary=b"
        _, created = server.request("POST", "/v1/files", form.encode(), Content_Type=kind)
        wanted = {"input_file_id": json.loads(created)["id"], "endpoint": CHAT, "completion_window": "24h"}
        _, created = server.request("POST", "/v1/batches", json.dumps(wanted).encode())
        _, read = server.request("GET", f"/v1/batches/{json.loads(created)['id']}")
        batch = json.loads(read)
        assert batch["status"] == "completed", batch
        _, errors = server.request("GET", f"/v1/files/{batch['error_file_id']}/content")
        assert server.request("GET", "/v1/batches")[0] == 200

    codes = {
        each["custom_id"]: each["response"]["body"]["error"]["code"] for each in map(json.loads, errors.splitlines())
    }
    assert codes == dict.fromkeys(names, "invalid_schema")


def test_schemas_with_huge_numbers_are_rejected_or_answered() -> None:
    written = ["1e400", "1" + "0" * 400, "-1e400", "1e-300", "5e-324", "1e308", "NaN", "-0.0", "18446744073709551616"]
    with attacked_server() as server, others_are_served(server):
        for word in ("multipleOf", "minimum", "exclusiveMaximum", "minLength", "maxItems", "minProperties"):
            for number in written:
                body = json.dumps(chat({"type": ["number", "string"], word: 77777})).replace("77777", number)
                status, answer = server.request("POST", CHAT, body.encode())
                assert status in {200, 400}, (word, number, answer)


@pytest.mark.parametrize(
    "schema",
    [
        {
            "type": "object",
            "required": ["x"],
            "properties": {"x": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"}},
        },
        {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(5_000)}},
        {"type": "array", "minItems": 100, "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/b"}]}, "b": {"const": 1}},
        },
    ],
)
def test_ordinary_and_large_schemas_are_still_answered(schema: dict[str, Any]) -> None:
    with attacked_server() as server:
        status, answer = ask(server, chat(schema))

    assert status == 200, answer


def test_the_server_ends_in_time_while_costly_requests_wait() -> None:
    def attack(server: AttackedServer, n: int) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            ask(server, chat(ATTACKS["hard strings"], n=128), f"attacker-{n}")

    with attacked_server() as server:
        attackers = [threading.Thread(target=attack, args=(server, n)) for n in range(60)]
        for each in attackers:
            each.start()
        assert ask(server, chat({"type": "integer"}), "another")[0] == 200  # by now many of them wait
        assert server.stop(within=10) == 0
        for each in attackers:
            each.join()
