"""Overlays change a document by JSONPath, and say where they cannot."""

from pathlib import Path
from typing import Any

import pytest
from builders import write_json

from mockserver.errors import SpecError
from mockserver.openapi.loading.overlay import apply_overlay


def overlaid(tmp_path: Path, document: Any, *actions: Any) -> list[str]:
    return apply_overlay(document, write_json(tmp_path / "o.json", {"overlay": "1.0.0", "actions": list(actions)}))


def test_an_update_is_merged_into_objects_and_added_to_lists(tmp_path: Path) -> None:
    document: dict[str, Any] = {"info": {"title": "A", "tags": ["x"], "more": {"a": 1}}, "list": [1], "other": {}}
    update = {"title": "B", "tags": ["y"], "more": {"b": [2]}, "new": {"c": 3}}

    unmatched = overlaid(
        tmp_path,
        document,
        {"target": "$.info", "update": update},
        {"target": "$.list", "update": {"d": 4}},
        {"target": "$.nothing", "update": {}},
        {"target": "$.info", "update": {"more": 5}},
        {"target": "$.other", "update": {"a": {"b": 1}}, "remove": False},
    )

    assert unmatched == ["$.nothing"]
    assert document == {
        "info": {"title": "B", "tags": ["x", "y"], "more": 5, "new": {"c": 3}},
        "list": [1, {"d": 4}],
        "other": {"a": {"b": 1}},
    }


def test_what_is_added_in_two_places_is_two_values(tmp_path: Path) -> None:
    document: dict[str, Any] = {"a": {"list": []}, "b": {"list": []}}

    overlaid(tmp_path, document, {"target": "$.*", "update": {"new": {"n": 1}, "list": [{"m": 1}]}})

    document["a"]["new"]["n"] = document["a"]["list"][0]["m"] = 2
    assert document["b"] == {"list": [{"m": 1}], "new": {"n": 1}}


def test_all_items_that_match_are_removed(tmp_path: Path) -> None:
    document = {"list": [*range(12)], "names": {"a": [1, 2, 3], "b": [4, 5]}}

    assert overlaid(
        tmp_path,
        document,
        {"target": "$.list[?@ > 0 && @ < 11]", "remove": True, "update": {}},
        {"target": "$.names.*[0]", "remove": True},
    ) == []  # fmt: skip
    assert document == {"list": [0, 11], "names": {"a": [2, 3], "b": [5]}}


NONE = "it is no OpenAPI Overlay; wanted 'overlay: 1.0.0' and 'actions'"


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ([], f"o.json: {NONE}"),
        ({"actions": []}, f"o.json: {NONE}"),
        ({"overlay": "2.0.0", "actions": []}, f"o.json: {NONE}"),
        ({"overlay": "1.1.0"}, "o.json: actions is NoneType; wanted a list"),
        ({"overlay": 1.0, "actions": {}}, "o.json: actions is dict; wanted a list"),
        ({"overlay": "1.0.0", "actions": ["x"]}, "o.json:1: actions[0] has no target; wanted a JSONPath"),
        ({"overlay": "1.0.0", "actions": [{"update": {}}]}, "o.json:1: actions[0] has no target; wanted a JSONPath"),
        ({"overlay": "1.0.0", "actions": [{"target": "$", "update": {}}, {"target": "$"}]},
         "o.json:1: actions[1] has neither an update nor 'remove: true'"),
        ({"overlay": "1.0.0", "actions": [{"target": "$", "remove": "yes"}]},
         "o.json:1: actions[0] has neither an update nor 'remove: true'"),
        ({"overlay": "1.0.0", "actions": [{"target": "$", "remove": True}]},
         "o.json:1: the whole document cannot be removed"),
        ({"overlay": "1.0.0", "actions": [{"target": "$.a", "update": {}}]},
         "o.json:1: the target is int; an update changes objects and lists"),
        ({"overlay": "1.0.0", "actions": [{"target": "$.b", "update": [1]}]},
         "o.json:1: the target is dict; an update changes objects and lists"),
    ],
)  # fmt: skip
def test_an_overlay_that_cannot_be_applied_is_named(tmp_path: Path, overlay: Any, said: str) -> None:
    path = write_json(tmp_path / "o.json", overlay)

    with pytest.raises(SpecError) as caught:
        apply_overlay({"a": 1, "b": {}}, path)

    assert str(caught.value) == f"{tmp_path}/{said}"


def test_a_target_that_is_no_jsonpath_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "o.yaml"
    path.write_text("overlay: 1.0.0\nactions:\n- target: $.a\n  update: {}\n- target: $[\n  update: {}\n")

    with pytest.raises(SpecError) as caught:
        apply_overlay({"a": {}}, path)

    assert str(caught.value).startswith(f"{path}:5: the target '$[' is no JSONPath: ")


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        @property
        def find(self) -> Any:
            raise ImportError("no module")

    monkeypatch.setattr("mockserver.openapi.loading.overlay.jsonpath_rfc9535", Missing())

    with pytest.raises(
        SpecError, match=r"overlays need the extra `overlay`: pip install 'batch-mockserver\[overlay\]'"
    ):
        overlaid(tmp_path, {}, {"target": "$", "update": {}})
