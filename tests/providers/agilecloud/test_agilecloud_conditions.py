"""AgileCloud's batches and files under a sandbox's conditions, which come before the settings."""

from typing import Any

from batch_client import DAY, OPENAI, BatchClient, chats, counts_of, jsonl, request_of
from builders import value_of

from mockserver.sandbox.conditions import Conditions, InputRejection, ItemPlan, ItemSelector


def desk_under(conditions: Conditions, **settings: Any) -> BatchClient:
    desk = BatchClient(**settings)
    desk.sandbox.conditions = conditions
    return desk


def desk_value(desk: BatchClient, path: str, **query: Any) -> Any:
    return value_of(desk.ask("GET", path, query=query))


def test_the_profile_can_be_set_for_a_sandbox() -> None:
    polls = {"progression": "polls:9"}
    shown = [
        desk_under(Conditions(settings=(("agilecloud_profile", "openai"),)), **polls),
        desk_under(Conditions(settings=(("agilecloud_profile", "agilecloud"),)), **polls, **OPENAI),
    ]

    assert [desk.cancel(desk.create(chats(3))["id"])["status"] for desk in shown] == ["cancelling", "cancelled"]


def test_capacity_can_be_set_for_a_sandbox_and_applies_to_new_batches() -> None:
    desk = desk_under(Conditions(capacity="busy"))
    waiting = desk.create(chats(3))["id"]
    desk.sandbox.conditions = Conditions(capacity="free")

    assert (desk.read(waiting)["status"], desk.run(chats(3))["status"]) == ("in_progress", "completed")


def test_free_capacity_of_a_sandbox_overrides_a_busy_setting() -> None:
    assert desk_under(Conditions(capacity="free"), capacity="busy").run(chats(3))["status"] == "completed"


def test_the_order_of_output_lines_can_be_set_for_a_sandbox() -> None:
    def order(keep: bool, **settings: Any) -> list[str]:
        desk = desk_under(Conditions(settings=(("keep_order", keep),)), **settings)
        return list(desk.lines(desk.run(chats(40))["output_file_id"]))

    assert order(True) == [f"r{n}" for n in range(40)]
    assert order(False, keep_order=True) != order(True)


def test_a_plan_fails_lines_beside_those_that_markers_and_the_document_fail() -> None:
    desk = desk_under(Conditions(items=ItemPlan(ItemSelector(indexes=(0, 2)), 429)))
    lines = (request_of(f"r{n}", *text) for n, text in enumerate([(), (), ("[mock:fail=404]",), ()]))

    done = desk.run(jsonl(*lines, request_of("bad", temperature=9)))

    assert counts_of(done) == (5, 2, 3)
    errors = desk.lines(done["error_file_id"])
    assert {name: line["response"]["status_code"] for name, line in errors.items()} == {
        "r0": 429,
        "r2": 404,
        "bad": 400,
    }


def test_counts_in_progress_follow_the_plan() -> None:
    desk = desk_under(
        Conditions(items=ItemPlan(ItemSelector(every=2), 500, ItemSelector(indexes=(0,)))), progression="polls:4"
    )
    id_ = desk.create(chats(6))["id"]

    seen = [counts_of(desk.read(id_)) for _ in range(4)]

    assert seen == [(0, 0, 0), (6, 0, 1), (6, 1, 2), (6, 2, 3)]


def test_a_planned_share_is_the_same_on_every_run() -> None:
    def failed() -> Any:
        desk = desk_under(Conditions(items=ItemPlan(ItemSelector(share=0.25))))
        return sorted(desk.lines(desk.run(chats(200))["error_file_id"]))

    first = failed()

    assert first == failed()
    assert 25 < len(first) < 75


def test_an_input_is_rejected_with_the_given_message_if_there_is_one() -> None:
    desk = desk_under(Conditions(input=InputRejection("odd_input", 3, "body", "It is odd.")))
    rejected, lost = desk.run(chats(3)), desk.run("file-unheard-of")

    assert rejected["errors"]["data"] == [{"code": "odd_input", "message": "It is odd.", "param": "body", "line": 3}]
    assert rejected["in_progress_at"] is None
    assert lost["errors"]["data"][0]["param"] == "file_id"
    assert desk_under(Conditions(input=InputRejection("unheard_of"))).run(chats(1))["errors"]["data"][0]["message"]


def test_a_hanging_line_expires_with_the_window() -> None:
    desk = desk_under(Conditions(items=ItemPlan(hang=ItemSelector(every=2))), **OPENAI)
    id_ = desk.create(chats(4))["id"]
    desk.read(id_)
    desk.sandbox.clock.advance(DAY)

    expired = desk.read(id_)

    assert (expired["status"], counts_of(expired)) == ("expired", (4, 2, 2))


def test_pages_are_no_larger_than_the_sandbox_wants_and_smaller_when_asked() -> None:
    desk = desk_under(Conditions(page_size=2))
    ids = [desk.create(chats(1))["id"] for _ in range(3)]

    def page(**query: Any) -> tuple[list[str], bool]:
        listed = desk_value(desk, "/v1/batches", **query)
        return [each["id"] for each in listed["data"]], listed["has_more"]

    assert page() == page(limit=100) == (ids[:0:-1], True)
    assert page(limit=1) == (ids[:1:-1], True)
    assert page(after=ids[1]) == (ids[:1], False)


def test_retention_can_only_shorten_the_life_of_a_file() -> None:
    desk = desk_under(Conditions(retention=100.0))
    id_ = desk.put(b"x")
    desk.sandbox.clock.advance(99)
    assert desk.content(id_) == b"x"

    desk.sandbox.clock.advance(1)

    assert desk.refusal("GET", f"/v1/files/{id_}")[0] == 404
    assert desk_value(desk, "/v1/files")["data"] == []
