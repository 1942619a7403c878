"""Engines put together: documents, fixtures, and providers of our own and of strangers."""

from pathlib import Path
from typing import Any

import pytest
from builders import ask, make_document, make_engine, make_operation, value_of, write_json

from mockserver.api.call import Call
from mockserver.api.provider import Provider
from mockserver.engine import build as loading
from mockserver.errors import FixtureError, SettingsError, SpecError
from mockserver.http import Response


def add_provider(monkeypatch: pytest.MonkeyPatch, *providers: Provider) -> None:
    ours = loading.find_providers()
    monkeypatch.setattr(loading, "find_providers", lambda: [*ours, *providers])


def make_provider(*handled: str, tag: str = "Stranger", name: str = "stranger") -> Provider:
    provider = Provider(name, tag=tag)

    @provider.handles(*handled)
    def answer(call: Call) -> Response:
        return call.reply({"by": name, "key": call.account.key if call.optional_account else None})

    return provider


def with_tag(operation: dict[str, Any], tag: str = "Stranger") -> dict[str, Any]:
    return operation | {"tags": [tag]}


def test_the_bundled_providers_are_found_by_entry_points() -> None:
    assert [provider.name for provider in loading.find_providers()] == ["agentfirst", "agilecloud"]


def test_a_third_provider_answers_the_operations_of_its_own_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_provider(monkeypatch, make_provider("ping"))
    document = make_document({"/ping": {"get": with_tag(make_operation("ping", example={}))}})
    engine = make_engine(spec=(str(write_json(tmp_path / "their.json", document)),), with_bundled=True)

    assert value_of(ask(engine, "GET", "/ping"))["by"] == "stranger"
    assert ask(engine, "GET", "/user").status == 200


def test_two_providers_share_one_sandbox_and_keep_their_operations_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_provider(monkeypatch, make_provider("one"), make_provider("two", tag="Other", name="other"))
    paths = {
        "/one": {"get": with_tag(make_operation("one", example={}))},
        "/two": {"get": with_tag(make_operation("two", example={}), "Other")},
    }
    engine = make_engine(spec=(str(write_json(tmp_path / "their.json", make_document(paths))),))

    assert [value_of(ask(engine, "GET", path))["by"] for path in ("/one", "/two")] == ["stranger", "other"]
    assert engine.sandboxes.open("test").journal.seen == 2


def test_an_operation_is_handled_under_its_method_and_path_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_provider(monkeypatch, make_provider("GET /ping"))
    document = make_document({"/ping": {"get": with_tag(make_operation("ping", example={}))}})
    engine = make_engine(spec=(str(write_json(tmp_path / "their.json", document)),))

    assert value_of(ask(engine, "GET", "/ping"))["by"] == "stranger"


def test_a_provider_that_handles_what_no_document_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    add_provider(monkeypatch, make_provider("ping"))

    with pytest.raises(SpecError, match="provider 'stranger' handles 'ping'; no operation with the tag 'Stranger'"):
        make_engine()


def test_a_provider_that_handles_anothers_operation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    add_provider(monkeypatch, make_provider("queueBatch"))

    with pytest.raises(SpecError, match="'Stranger'"):
        make_engine()


def test_two_documents_cannot_describe_the_same_operation(tmp_path: Path) -> None:
    document = make_document({"/ai/batches": {"post": make_operation("mine")}})

    with pytest.raises(SpecError, match="POST /ai/batches is described t"):
        make_engine(spec=(str(write_json(tmp_path / "other.json", document)),), with_bundled=True)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"spec": ("nowhere.yaml",)}, SpecError),
        ({"fixtures": ("nowhere",)}, FixtureError),
        ({"clock": "soon"}, SettingsError),
        ({"progression": "polls:0"}, SettingsError),
    ],
)
def test_an_unreadable_document_or_fixture_stops_the_start(changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=r"nowhere|soon|polls:0"):
        make_engine(**changes)


def test_fixtures_at_the_top_apply_to_every_api_and_folders_to_their_own(tmp_path: Path) -> None:
    entry = {"body": {"says": "fixture"}}
    folder = tmp_path / "fixtures"
    write_json(folder / "all.json", {"responses": {"listDevices": [{"body": ["Abacus"]}], "other": [entry]}})
    write_json(folder / "agentfirst" / "own.json", {"responses": {"another": [entry]}})
    operations = {f"/{key}": {"get": make_operation(key, example={"says": "example"})} for key in ("other", "another")}
    spec = write_json(tmp_path / "other.json", make_document(operations))
    engine = make_engine(fixtures=(str(folder),), spec=(str(spec),), with_bundled=True)

    assert value_of(ask(engine, "GET", "/ai/devices")) == ["Abacus"]
    assert value_of(ask(engine, "GET", "/other")) == {"says": "fixture"}
    assert value_of(ask(engine, "GET", "/another")) == {"says": "example"}


def test_a_device_from_a_fixture_is_accepted(tmp_path: Path) -> None:
    write_json(tmp_path / "all.json", {"responses": {"listDevices": [{"body": ["Abacus"]}]}})
    engine = make_engine(fixtures=(str(tmp_path),))

    def asked(device: str) -> int:
        return ask(engine, "POST", "/ai/batches", json={"prompts": ["hello"], "device": device}).status

    assert (asked("ABACUS"), asked("iPhone 15 Pro")) == (202, 422)


def test_earlier_fixture_folders_have_precedence(tmp_path: Path) -> None:
    for name in ("first", "second"):
        entry = {"match": {"contains": "weather"}, "text": name}
        write_json(tmp_path / name / "agentfirst" / "answers.json", {"completions": [entry]})
    engine = make_engine(fixtures=(str(tmp_path / "first"), str(tmp_path / "second")))

    assert "first" in value_of(ask(engine, "GET", "/ai", query={"prompt": "weather?"}))["completionHtml"]


def test_an_overlay_changes_the_documents_that_are_served_and_what_matches_none_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    things = make_document({"/things": {"get": make_operation("listThings", example={"things": 1})}})
    others = make_document({"/others": {"get": make_operation("listOthers", example={"others": 1})}})
    files = tuple(str(write_json(tmp_path / f"{n}.json", each)) for n, each in enumerate((things, others)))
    example = "['get']['responses']['200']['content']['application/json']['example']"
    actions = [
        {"target": f"$['paths']['/things']{example}", "update": {"things": 2}},
        {"target": "$['paths']['/nothing']", "remove": True},
    ]
    overlay = write_json(tmp_path / "overlay.json", {"overlay": "1.0.0", "actions": actions})

    engine = make_engine(spec=files, overlay=(str(overlay),))

    assert value_of(ask(engine, "GET", "/things")) == {"things": 2}
    assert value_of(ask(engine, "GET", "/others")) == {"others": 1}
    assert [each.getMessage() for each in caplog.records] == [
        f"{overlay}: the target $['paths']['/nothing'] matches nothing in the document"
    ]
