"""Prompt templates from clients: whatever they do, the server answers, and others with it."""

import json
import os
import threading
import time
from pathlib import Path

from attack_server import AttackedServer, attacked_server, others_are_served
from attacks import form, is_at_work

ATTACKS = [
    "{{ [1] * 10**9 }}",
    "{{ 'x' * 10**9 }}",
    "{% set a = 'ab' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{% set s = namespace() %}{% set s.x = s %}{{ s }}",
    "{% set s = namespace(x=[1]) %}{% for i in range(60) %}{% set s.x = [s.x, s.x] %}{% endfor %}{{ s.x }}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% set x = text|urlencode %}{% endfor %}",
    "{% macro f(x) %}{{ f(x ~ x) }}{% endmacro %}{{ f('ab') }}",
    "{{ " + "(" * 20_000 + ")" * 20_000 + " }}",
    "{{ 1" + " + 1" * 100_000 + " }}",
    "{{ text.strip('b' * 100000 ~ 'l') }}" * 50,
    "{{ '%1000000000d'|format(1) }}",
    "{{ text|tojson(indent=1000000000) }}",
]
VARIABLES = {"text": "lorem ipsum " * 20_000}


def make_prompt(server: AttackedServer, slug: str, template: str, token: str) -> int:
    body = json.dumps({"slug": slug, "template": template, "variables": ["text"]}).encode()
    return server.request("POST", "/api/v1/prompts", body, token=token)[0]


def render(server: AttackedServer, slug: str, token: str) -> tuple[int, bytes]:
    body = json.dumps({"variables": VARIABLES}).encode()
    return server.request("POST", f"/api/v1/prompts/{slug}/render", body, token=token)


def test_no_template_ends_the_server_or_holds_up_others() -> None:
    with attacked_server() as server:
        at_rest = server.resident()
        with others_are_served(server):
            for n, template in enumerate(ATTACKS):
                created = make_prompt(server, f"p{n}", template, "attacker")
                assert created in {200, 201, 400}, template[:60]
                if created != 400:
                    status, answer = render(server, f"p{n}", "attacker")
                    assert status in {200, 400}, (template[:60], answer[:200])
            assert make_prompt(server, "fine", "{% if text %}Dear {{ text[:5] }}{% endif %}", "attacker") in {200, 201}
            assert json.loads(render(server, "fine", "attacker")[1])["rendered"] == "Dear lorem"

        assert server.resident() - at_rest < 150 * 1024 * 1024


def test_many_templates_at_once_do_not_starve_others() -> None:
    def attack(n: int) -> None:
        make_prompt(server, "p", ATTACKS[n % len(ATTACKS)], f"attacker-{n}")
        render(server, "p", f"attacker-{n}")

    with attacked_server() as server, others_are_served(server):
        attackers = [threading.Thread(target=attack, args=(n,)) for n in range(20)]
        for each in attackers:
            each.start()
        for each in attackers:
            each.join()


def test_the_processes_that_render_end_with_the_server() -> None:
    with attacked_server() as server:
        make_prompt(server, "p", "{% if text %}a{% endif %}", "attacker")
        render(server, "p", "attacker")
        rendering = [
            int(each.name)
            for each in Path("/proc").iterdir()
            if each.name.isdigit() and is_renderer_of(int(each.name), server.process.pid)
        ]
        assert 1 <= len(rendering) <= 2
        assert server.stop() == 0

    assert not [pid for pid in rendering if is_alive(pid)]


def is_renderer_of(pid: int, parent: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(stat[1]) == parent and b"prompts.renderer" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_batch_of_templates_that_do_too_much_ends() -> None:
    request = {"model": "gpt-4o", "prompt_slug": "p", "variables": VARIABLES}
    lines = [
        json.dumps({"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": request})
        for n in range(10)
    ]
    head = 'Content-Disposition: form-data; name="file"; filename="a.jsonl"'
    purpose = ("--b", 'Content-Disposition: form-data; name="purpose"', "", "batch")
    form = "\r\n".join((*purpose, "--b", head, "", "\n".join(lines), "--b--", ""))
    with attacked_server("--progression", "immediate") as server, others_are_served(server):
        assert make_prompt(server, "p", "{% if text %}{{ [1] * 10**9 }}{% endif %}", "attacker") in {200, 201}
        _, created = server.request("POST", "/v1/files", form.encode(), Content_Type="multipart/form-data; boundary=b")
        wanted = {"input_file_id": json.loads(created)["id"], "endpoint": "/v1/chat/completions"}
        body = json.dumps({**wanted, "completion_window": "24h"}).encode()
        _, created = server.request("POST", "/v1/batches", body)
        _, read = server.request("GET", f"/v1/batches/{json.loads(created)['id']}")
        batch = json.loads(read)
        assert batch["request_counts"] == {"total": 10, "completed": 0, "failed": 10}
        _, errors = server.request("GET", f"/v1/files/{batch['error_file_id']}/content")

    codes = {json.loads(line)["response"]["body"]["error"]["code"] for line in errors.splitlines()}
    assert codes == {"invalid_template"}


COSTLY = "{% for a in range(60000) %}{% set x = text %}{% endfor %}{{ text[:5] }}"
ORDINARY = "{% for a in range(300) %}{% if text %}{{ a }}{% endif %}{% endfor %}"


def create_batch_of_templates(server: AttackedServer, template: str, lines: int) -> str:
    assert make_prompt(server, "p", template, "attacker") in {200, 201}
    request = {"model": "gpt-4o", "prompt_slug": "p", "variables": {"text": "hello there"}}
    line = {"method": "POST", "url": "/v1/chat/completions", "body": request}
    content = b"\n".join(json.dumps({"custom_id": f"{n}", **line}).encode() for n in range(lines))
    _, created = server.request("POST", "/v1/files", form(content), Content_Type="multipart/form-data; boundary=X")
    wanted = {"input_file_id": json.loads(created)["id"], "endpoint": "/v1/chat/completions"}
    _, created = server.request("POST", "/v1/batches", json.dumps({**wanted, "completion_window": "24h"}).encode())
    return f"/v1/batches/{json.loads(created)['id']}"


def test_a_batch_of_many_templates_lets_others_render_and_the_process_end() -> None:
    with attacked_server("--progression", "immediate") as server:
        assert make_prompt(server, "fine", "{% if text %}Dear {{ text[:5] }}{% endif %}", "other") in {200, 201}
        render(server, "fine", "other")
        path = create_batch_of_templates(server, ORDINARY, 50_000)
        with is_at_work(server, path, "attacker"):
            with others_are_served(server):
                begun, count = time.monotonic(), 0
                while time.monotonic() - begun < 2:
                    assert render(server, "fine", "other")[0] == 200
                    count += 1
            assert count >= 2

            assert server.stop(within=10) == 0
        assert server.process.stderr is not None
        assert "Traceback" not in server.process.stderr.read()


def test_costly_templates_of_a_batch_share_one_budget() -> None:
    with attacked_server("--progression", "immediate") as server, others_are_served(server):
        path = create_batch_of_templates(server, COSTLY, 300)
        batch = json.loads(server.request("GET", path)[1])

    assert batch["request_counts"]["total"] == 300
    assert 10 <= batch["request_counts"]["completed"] <= 100
