"""The plugin as a stranger's test suite meets it: in a pytest of its own, started in an empty folder."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mockserver.cli import main
from mockserver.sandbox.ids import salt_of
from mockserver.testing.pool import RemotePool
from mockserver.testing.unittest import frozen_settings, running_pool

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
PLUGIN = ("-p", "mockserver.pytest_plugin", "-p", "no:cacheprovider", "-W", "error")
ASK = """
    import os
    import httpx
    import pytest

    def ask(method, path, **given):
        url, token = os.environ["AGENT_FIRST_BASE_URL"], os.environ["AGENT_FIRST_TOKEN"]
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(method, url + path, headers=headers, verify=False, **given)

    def queue(*prompts):
        return ask("POST", "/ai/batches", json={"prompts": prompts})
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty folder in which our package can be imported. Other plugins of this machine would take seconds."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in [
        each
        for each in os.environ
        if each.startswith(("OPENAI_", "AGENT_FIRST_", "PYTEST_XDIST", "COV_", "MOCKSERVER_"))
    ]:
        monkeypatch.delenv(name)
    return pytester


def run(suite: pytest.Pytester, *args: str) -> pytest.RunResult:
    return suite.runpytest_subprocess(*PLUGIN, *args, timeout=300)


def make_tests(suite: pytest.Pytester, tests: str) -> None:
    suite.makepyfile(ASK + tests)


def test_two_hundred_tests_on_four_workers_are_isolated(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        """
    @pytest.mark.parametrize("n", range(200))
    def test_alone(sandbox, n):
        count = n % 5 + 1
        id_ = queue(*[f"Question {n}.{k}" for k in range(count)]).json()["id"]
        shown = [ask("GET", "/ai/batches", params={"id": id_}).json() for _ in range(2)]
        assert [each["status"] for each in shown] == ["archiving", "successful"]
        assert shown[1]["successful"] == count
        assert [each["id"] for each in sandbox.batches()] == [id_]
        assert sandbox.count() == 3
        assert sandbox.credits == 1_000_000_000 - 5 * count
        assert os.environ["PYTEST_XDIST_WORKER"] in sandbox.name
    """,
    )

    result = run(suite, "-p", "xdist.plugin", "-n", "4")

    result.assert_outcomes(passed=200)


def test_a_failing_test_shows_its_requests_and_a_passing_one_does_not(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        """
    def test_good(sandbox):
        queue("This is fine")

    def test_bad(sandbox, make_sandbox):
        for n in range(30):
            ask("GET", f"/user?n={n}")
        ask("POST", "/ai/batches", json={"prompts": "not a list", "country": 7})
        make_sandbox()
        assert False
    """,
    )

    result = run(suite, "-o", "mockserver_journal=3")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*requests to sandbox test-*test_bad-*",
            "(28 earlier ones are not shown)",
            "  29 GET /user?n=28 -> 200 *handler*",
            "  30 GET /user?n=29 -> 200 *",
            "  31 POST /ai/batches -> 422 invalid *",
            "       body.prompts: *array*",
            "*requests to sandbox test-*",
            "no request came to this sandbox",
        ]
    )
    result.stdout.no_fnmatch_line("*test_good*")


def test_a_real_key_never_reaches_the_server(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    real = {
        "OPENAI_API_KEY": "sk-real",
        "OPENAI_ORG_ID": "org-real",
        "OPENAI_PROJECT_ID": "proj-real",
        "OPENAI_ADMIN_KEY": "admin-real",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/real",
        "AGENT_FIRST_TOKEN": "token-real",
        "AGILECLOUD_API_KEY": "key-real",
    }
    for name, value in real.items():
        monkeypatch.setenv(name, value)
    suite.makepyfile(
        f"""
    import os
    from openai import OpenAI
    REAL = {real!r}

    def test_sdk(sandbox):
        with OpenAI() as api:
            api.models.list()
            api.files.create(file=("in.jsonl", b"{{}}"), purpose="batch")
        assert len(sandbox.requests()) == 2
        sent = str([each["request"]["headers"] for each in sandbox.requests()])
        assert not [value for value in REAL.values() if value in sent]
        assert not [name for name, value in os.environ.items() if value in REAL.values()]

    def test_afterwards_the_environment_is_as_it_was():
        assert {{name: os.environ[name] for name in REAL}} == REAL
        assert "AGENT_FIRST_BASE_URL" not in os.environ and "OPENAI_API_BASE" not in os.environ
    """
    )

    run(suite).assert_outcomes(passed=2)


def test_unexpected_requests_fail_the_test_unless_they_are_allowed(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        """
    def test_path(sandbox):
        ask("GET", "/ai/batch")

    def test_schema(sandbox):
        queue()

    def test_other(make_sandbox):
        httpx.get(make_sandbox().base_url + "/ai/nothing", headers=make_sandbox().headers)

    @pytest.mark.mockserver(allow_unexpected=True)
    def test_marked(sandbox):
        ask("GET", "/ai/batch")

    def test_told(sandbox):
        sandbox.allow_unexpected()
        ask("GET", "/ai/batch")

    def test_refused_for_other_reasons(sandbox):
        assert ask("GET", "/ai/batches?id=00000000-0000-0000-0000-000000000000").status_code == 422
        sandbox.credits = 0
        assert queue("Anything").status_code == 402

    def test_answered_by_a_stub(sandbox):
        sandbox.next("queueBatch", status=402)
        assert queue().status_code == 402

    def test_failed_already(sandbox):
        queue()
        assert False
    """,
    )

    result = run(suite)

    result.assert_outcomes(passed=7, failed=1, errors=3)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_path*", "*do not know*", "*GET /ai/batch -> 404 no-such-path*"]
    )
    run(suite, "-o", "mockserver_allow_unexpected=true").assert_outcomes(passed=7, failed=1)


def test_marks_and_ini_options_set_the_initial_state_of_a_sandbox(suite: pytest.Pytester) -> None:
    suite.makeini("[pytest]\nmockserver_progression = polls:5\nmockserver_clock = frozen@2030-01-01")
    suite.makepyfile(
        """
    import pytest
    pytestmark = pytest.mark.mockserver(progression="time:9")

    def test_of_the_module(sandbox, make_sandbox):
        assert sandbox.progression == "time:9"
        assert make_sandbox(progression="immediate").progression == "immediate"
        assert sandbox.clock.now.year == 2030
        assert sandbox.clock.is_frozen

    @pytest.mark.mockserver(progression="polls:1", clock="2031-01-01")
    def test_of_the_function(sandbox):
        assert sandbox.progression == "polls:1"
        assert sandbox.clock.now.year == 2031
        assert not sandbox.clock.is_frozen
        sandbox.reset()
        assert sandbox.progression == "polls:1"

    @pytest.mark.mockserver(scenario="stuck")
    def test_of_a_scenario(sandbox):
        assert sandbox.conditions != {}

    @pytest.mark.mockserver(progresion="polls:1")
    def test_mistyped(sandbox):
        pass
    """
    )

    result = run(suite, "--strict-markers")

    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*the marker mockserver takes*"])


def test_the_server_can_have_settings_of_its_own(suite: pytest.Pytester) -> None:
    suite.makefile(".yaml", mock="strict: true\nseed: other\n")
    suite.makepyfile(
        """
    def test_config(mockserver):
        assert mockserver.engine.settings.strict
        assert mockserver.engine.settings.seed == "other"
    """
    )

    run(suite, "-o", "mockserver_config=mock.yaml").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("flag", "near"),
    [
        ("--mockserver-ulr=http://127.0.0.1:1", "--mockserver-url"),
        ("--mockserver_url", "--mockserver-url"),
        ("--mock-server-url", "--mockserver-url"),
        ("--mockserver-admin-tokn=secret", "--mockserver-admin-token"),
        ("--mockserver-runs", "--mockserver-run"),
    ],
)
def test_a_misspelt_flag_gets_the_nearest_name(suite: pytest.Pytester, flag: str, near: str) -> None:
    suite.makepyfile("def test_it(): pass")

    result = run(suite, flag)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [
        f"ERROR: unknown flag {flag.partition('=')[0]}; did you mean {near}?"
    ]


def test_flags_that_a_conftest_declares_and_flags_unlike_ours_are_left_to_pytest(suite: pytest.Pytester) -> None:
    suite.makeconftest("def pytest_addoption(parser): parser.addoption('--mockserver-urls')")
    suite.makepyfile("def test_it(request): assert request.config.getoption('mockserver_urls') == '1'")

    assert run(suite, "--mockserver-urls=1", "--mockserver-url", "").ret == pytest.ExitCode.OK
    result = run(suite, "--mock-everything-else-there-is")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unrecognized arguments: --mock-everything-else-there-is"])


@pytest.mark.parametrize(
    ("name", "near"),
    [("mockserver_ulr", "mockserver_url"), ("mockserver_fail", "mockserver_fail_on")],
)
@pytest.mark.parametrize("is_in_file", [True, False])
def test_a_misspelt_ini_option_is_warned_about_with_the_nearest_name(
    suite: pytest.Pytester, name: str, near: str, is_in_file: bool
) -> None:
    suite.makepyfile("def test_it(): pass")
    if is_in_file:
        suite.makeini(f"[pytest]\n{name} = x\n")
    given = [] if is_in_file else ["-o", f"{name}=x"]

    result = suite.runpytest_subprocess("-p", "mockserver.pytest_plugin", "-p", "no:cacheprovider", *given)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"*PytestConfigWarning: unknown ini option {name}; did you mean {near}?"])


def test_an_ini_option_of_another_plugin_is_not_warned_about(suite: pytest.Pytester) -> None:
    suite.makeconftest("def pytest_addoption(parser): parser.addini('mockserver_colour', '')")
    suite.makeini("[pytest]\nmockserver_colour = red\n")
    suite.makepyfile("def test_it(): pass")

    assert run(suite).ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("mark", "hint"),
    [("progresion='polls:1'", "; did you mean progression?"), ("fail='error'", "; did you mean fail_on?"), ("1", "")],
)
def test_a_misspelt_argument_of_the_mark_gets_the_nearest_name(suite: pytest.Pytester, mark: str, hint: str) -> None:
    suite.makepyfile(f"import pytest\n\n@pytest.mark.mockserver({mark})\ndef test_it(sandbox): pass\n")

    result = run(suite)

    result.assert_outcomes(errors=1)
    result.stdout.re_match_lines(
        [rf".*test_it: the marker mockserver takes mockserver\(.*\), by name{re.escape(hint)}$"]
    )


def test_an_invalid_option_is_rejected_at_the_start(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it(sandbox): pass")

    result = run(suite, "-o", "mockserver_journal=many")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*mockserver_journal is 'many'; wanted a whole number*"])
    run(suite, "-o", "mockserver_clock=tomorrow").assert_outcomes(errors=1)


def test_an_external_server_is_used_and_its_sandboxes_are_deleted(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        """
    def test_there(sandbox, mockserver):
        assert queue("Who repairs guitars?").status_code == 202
        assert sandbox.clock.is_frozen
        assert sandbox.progression == "polls:2"
        assert not hasattr(mockserver, "engine")

    def test_odd(sandbox):
        ask("GET", "/ai/batch")
    """,
    )
    with running_pool(frozen_settings(clock="flowing", progression="time:2", admin_token="sesame")) as host:
        stale = RemotePool(host.url, "sesame")
        stale.acquire("left-behind")
        stale.client.close()
        result = run(suite, f"--mockserver-url={host.url}", "--mockserver-admin-token=sesame")
        left = [row["name"] for row in host.client.sandboxes()]

    result.assert_outcomes(passed=2, errors=1)
    assert [name for name in left if name.startswith("test-")] == []


def test_a_run_id_keeps_runs_apart_on_an_external_server(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tests(
        suite,
        """
    def test_there(sandbox):
        print("told", sandbox.name, queue("One").json()["id"])
    """,
    )

    def told(*args: str) -> list[str]:
        (line,) = [each for each in run(suite, "-s", *args).outlines if "told " in each]
        return line.split("told ")[1].split()

    with running_pool() as host:
        external = f"--mockserver-url={host.url}"
        plain, flagged = told(external), told(external, "--mockserver-run=12/3")
        monkeypatch.setenv("MOCKSERVER_RUN", "12/4")
        named, overruled, here = told(external), told(external, "--mockserver-run=12/3"), told()

    assert plain == here, "a server of its own is shared with nobody"
    assert flagged == overruled
    assert len({plain[0], flagged[0], named[0]}) == 3
    assert (flagged[0][:14], named[0][:14]) == ("test-run-12-3-", "test-run-12-4-")
    assert plain[1] == flagged[1] == named[1], "ids do not depend on the mark"


def test_unittest_cases_have_their_sandbox(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        """
    import unittest

    @pytest.mark.usefixtures("sandbox")
    class TestCase(unittest.TestCase):
        def test_queue(self):
            assert queue("One").status_code == 202
            self.assertEqual(self.sandbox.count(), 1)

        def test_again(self):
            self.assertEqual(self.sandbox.count(), 0)
    """,
    )

    run(suite).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        (("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function"), "asyncio"),
        (("-p", "anyio"), "anyio"),
    ],
    ids=["asyncio", "anyio"],
)
def test_async_tests_have_their_sandbox(suite: pytest.Pytester, options: tuple[str, ...], mark: str) -> None:
    suite.makepyfile(
        f"""
    import httpx
    import pytest
    from openai import AsyncOpenAI

    pytestmark = pytest.mark.{mark}

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    async def test_socket(sandbox):
        async with AsyncOpenAI() as api:
            assert (await api.models.list()).data
        sandbox.clock.advance(hours=24)
        assert sandbox.count() == 1

    async def test_app(mockserver_app):
        sandbox = mockserver_app.sandbox("mine")
        transport = httpx.ASGITransport(mockserver_app)
        async with httpx.AsyncClient(transport=transport, base_url=sandbox.base_url, headers=sandbox.headers) as api:
            batch = (await api.post("/ai/batches", json={{"prompts": ["One"]}})).json()
            sandbox.clock.advance(hours=24)
            await api.get("/ai/batches", params={{"id": batch["id"]}})
            done = (await api.get("/ai/batches", params={{"id": batch["id"]}})).json()
            assert (await api.get(done["url"])).status_code == 200
            assert (await api.get("/__admin/clock")).json()["frozen"]
        assert sandbox.count() == 4
    """
    )

    run(suite, *options).assert_outcomes(passed=2)


def test_the_same_test_has_the_same_ids_on_every_run(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        """
    def test_once(sandbox):
        print("id", queue("One").json()["id"])
    """,
    )

    first, second = ([line for line in run(suite, "-s").outlines if "id " in line and "-" in line] for _ in range(2))

    assert len(first) == 1
    assert first == second


def test_the_plugin_imports_nothing_that_costs_time() -> None:
    script = (
        "import json, sys, pytest, typing, collections.abc; before = set(sys.modules)\n"
        "import mockserver.pytest_plugin\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == ["mockserver", "mockserver.lazy", "mockserver.pytest_plugin"]


RETRIES = """
    from mockserver.testing.pool import environment_for

    def retry_what_cannot_heal():
        for _ in range(3):
            ask("GET", "/v1/batches/batch_unknown")

    def queue_twice():
        for _ in range(2):
            queue("Who repairs guitars?")
"""


def test_findings_fail_a_test_where_that_is_asked_for(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        RETRIES
        + """
    def test_bad(sandbox):
        retry_what_cannot_heal()

    def test_good(sandbox):
        queue("Who repairs guitars?")

    @pytest.mark.mockserver(fail_on="")
    def test_forgiven(sandbox):
        retry_what_cannot_heal()

    @pytest.mark.mockserver(fail_on="warning")
    def test_other(make_sandbox):
        it = make_sandbox()
        with environment_for(it):
            queue_twice()

    def test_failed_already(sandbox):
        retry_what_cannot_heal()
        assert False
    """,
    )

    result = run(suite, "-o", "mockserver_fail_on=error")

    result.assert_outcomes(passed=4, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_bad*",
            "the client behaved badly (fail_on is error):",
            "error: hopeless-retry: The same GET /v1/batches/batch_unknown was sent 3 times*",
            "*ERROR at teardown of test_other*",
            "error: batch-paid-twice: *",
        ]
    )
    run(suite).assert_outcomes(passed=4, failed=1, errors=1)


def test_findings_and_unexpected_requests_are_reported_together(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        RETRIES
        + """
    def test_both(sandbox):
        retry_what_cannot_heal()
        ask("GET", "/ai/batch")
    """,
    )

    result = run(suite, "-o", "mockserver_fail_on=warning")

    result.stdout.fnmatch_lines(["*do not know*", "*GET /ai/batch -> 404 no-such-path*", "error: hopeless-retry: *"])


@pytest.mark.parametrize("wrong", ["info", "errors", "never"])
def test_an_unknown_severity_is_rejected(suite: pytest.Pytester, wrong: str) -> None:
    suite.makepyfile(
        f"import pytest\n@pytest.mark.mockserver(fail_on={wrong!r})\ndef test_marked(sandbox): pass\n",
    )

    refused, marked = run(suite, "-o", f"mockserver_fail_on={wrong}"), run(suite)

    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines([f"*mockserver_fail_on is '{wrong}'; wanted error, warning, or nothing*"])
    marked.assert_outcomes(errors=1)
    marked.stdout.fnmatch_lines([f"*test_marked: fail_on is '{wrong}'; wanted 'error', 'warning', or ''*"])


def test_findings_fail_a_test_against_an_external_server_and_a_report_says_what_it_cannot_check(
    suite: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tests(suite, RETRIES + "\n    def test_bad(sandbox):\n        retry_what_cannot_heal()\n")
    with running_pool() as host:
        result = run(suite, f"--mockserver-url={host.url}", "-o", "mockserver_fail_on=error")
        capsys.readouterr()
        codes = [main(["report", "--url", host.url, "--fail-on", how]) for how in ("error", "warning", "never")]
        told = capsys.readouterr()

    result.assert_outcomes(passed=1, errors=1)
    assert codes == [4, 4, 0]
    assert told.err.count("of 1 of ") == told.err.count("nothing could be checked: all journals are empty") == 3
    assert "nothing found" not in told.out


def test_environment_variables_are_settings_except_host_and_port(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = {"MOCKSERVER_HOST": "203.0.113.1", "MOCKSERVER_PORT_FILE": "port.txt", "MOCKSERVER_CONFIG": "none.yaml"}
    for name, value in (elsewhere | {"MOCKSERVER_STRICT": "true", "MOCKSERVER_SEED": "other", "PORT": "1"}).items():
        monkeypatch.setenv(name, value)
    suite.makefile(".yaml", mock="seed: of the file\nmagic: false\n")
    suite.makepyfile(
        """
    def test_both(mockserver, mockserver_app, sandbox):
        for each in (mockserver, mockserver_app):
            settings = each.engine.settings
            assert (settings.strict, settings.seed, settings.magic) == (True, "other", False)
        assert mockserver.url.startswith("http://127.0.0.1:")
    """
    )

    run(suite, "-o", "mockserver_config=mock.yaml").assert_outcomes(passed=1)

    assert not (suite.path / "port.txt").exists()
    monkeypatch.setenv("MOCKSERVER_STRICT", "perhaps")
    result = run(suite)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*MOCKSERVER_STRICT*perhaps*true or false*"])


def test_settings_of_a_suite_never_set_the_port(suite: pytest.Pytester) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        suite.makepyfile(
            f"""
        import pytest
        from mockserver.settings.table import Settings

        @pytest.fixture(scope="session")
        def mockserver_settings():
            return Settings(port={taken.getsockname()[1]}, port_file="port.txt", strict=True)

        @pytest.mark.parametrize("n", range(4))
        def test_strict(mockserver, sandbox, n):
            assert mockserver.engine.settings.strict
            assert sandbox.clock.is_frozen
            assert sandbox.count() == 0
        """
        )

        run(suite, "-p", "xdist.plugin", "-n", "2").assert_outcomes(passed=4)

    assert not (suite.path / "port.txt").exists()


STALE = """
    def post(url, token):
        return httpx.post(f"{url}/ai/batches", json={"prompts": ["One"]}, headers={"Authorization": f"Bearer {token}"})

    def test_first(sandbox, request):
        request.config.stale = os.environ["AGENT_FIRST_TOKEN"]
        post(sandbox.base_url, "long-ago")
        assert False

    def test_hard_coded(sandbox, make_sandbox):
        for token in ("hard-coded", "hard-coded"):
            post(sandbox.base_url, token)
        post(make_sandbox().base_url, make_sandbox().token)
        assert False

    def test_stale(sandbox, request):
        post(sandbox.base_url, request.config.stale)
        assert False

    def test_nobody(sandbox):
        assert False
"""


@pytest.mark.parametrize("is_external", [False, True])
def test_a_failing_test_names_other_sandboxes_that_were_used(suite: pytest.Pytester, is_external: bool) -> None:
    make_tests(suite, STALE)

    with running_pool() as host:
        result = run(suite, *([f"--mockserver-url={host.url}"] if is_external else []))

    result.assert_outcomes(failed=4)
    told = str(result.stdout).split("____ test_")
    hard_coded = next(each for each in told if each.startswith("hard_coded"))
    key = salt_of("mockserver", "hard-coded").hex()[:16]  # a sandbox that is named by a token is shown by its key
    assert f"'{key}', 2 until now, the latest:\n     2 POST /ai/batches -> 202" in hard_coded
    assert "was the client built before the test, or with a token of its own?" in hard_coded
    assert "long-ago" not in hard_coded
    stale = next(each for each in told if each.startswith("stale"))
    assert re.search(r"\n  '[0-9a-f]{16}', \d+ until now", stale)
    assert key not in stale
    assert "no request came to this sandbox" in told[-1]
    assert "requests came to" not in told[-1]


def test_an_unexpected_request_is_shown_with_the_nearest_operation(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        """
    def test_path(sandbox):
        ask("POST", "/ai/batch", json={})

    def test_method(sandbox):
        ask("DELETE", "/ai/batches")

    def test_failed(sandbox):
        ask("GET", "/v1/chats/completions")
        assert False
    """,
    )

    result = run(suite)

    result.assert_outcomes(passed=2, failed=1, errors=2)
    result.stdout.fnmatch_lines(
        [
            "*POST /ai/batch -> 404 no-such-path*",
            "       *Did you mean /ai/batches?*",
            "*DELETE /ai/batches -> 405 method-not-allowed*",
            "       */ai/batches does not answer DELETE; it answers *",
            "*GET /v1/chats/completions -> 404 no-such-path*",
            "       *does not imitate GET /v1/chats/completions. The nearest operation is *",
        ]
    )


def test_an_unused_stub_can_be_found(suite: pytest.Pytester) -> None:
    make_tests(
        suite,
        """
    def test_stubs(sandbox):
        sandbox.next("queueBatch", status=402)
        sandbox.fail("getUser", status=503, times=2)
        sandbox.faults = [{"fault": {"type": "latency", "seconds": 0}}]
        ask("GET", "/user")
        assert [stub["definition"]["operation"] for stub in sandbox.unused_stubs()] == ["queueBatch"]
        queue("One")
        assert sandbox.unused_stubs() == []
    """,
    )

    run(suite).assert_outcomes(passed=1)


def test_the_repr_of_a_sandbox_in_tracebacks_names_it(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_it(sandbox):\n    assert sandbox is None\n")

    run(suite).stdout.fnmatch_lines(["*assert <sandbox 'test-*test_it*' of http://127.0.0.1:*> is None"])


CONTRACT_TESTS = """
    def test_a_batch(sandbox):
        assert queue("One").status_code == 202

    def test_an_account(sandbox):
        assert ask("GET", "/user").status_code == 200

    def test_that_fails(sandbox):
        ask("GET", "/ai/devices")
        assert False
"""


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")])
def test_the_contract_of_passing_tests_is_written_as_a_pact_file(
    suite: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    make_tests(suite, CONTRACT_TESTS)

    result = run(suite, "--mockserver-pact", "pacts", "-o", "mockserver_consumer=my-app", *workers)

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["contract: *my-app-Agent_First.json"])
    [written] = (suite.path / "pacts").iterdir()
    pact = json.loads(written.read_text())
    assert {each["description"] for each in pact["interactions"]} == {
        "POST /ai/batches answers 202", "GET /user answers 200"}  # fmt: skip


def test_without_the_flag_no_contract_is_written(suite: pytest.Pytester) -> None:
    make_tests(suite, CONTRACT_TESTS)

    result = run(suite, "-k", "account")

    result.assert_outcomes(passed=1, deselected=2)
    assert not list(suite.path.rglob("*Agent_First*"))
