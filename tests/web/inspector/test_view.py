"""What a page of the inspector reads from its request, and where it leads."""

from typing import Any

import pytest
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from mockserver.web.inspector.view import DEFAULT_SANDBOX, NO_FORM, NOTICES, ROWS_OF_A_PAGE, View, quoted


def make_view(query: str = "", *, prefix: str = "", form: FormData = NO_FORM, sandbox: str = "mine") -> View:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/__admin/ui/requests",
        "query_string": query.encode(),
        "headers": [(b"host", b"here:4024")],
        "server": ("here", 4024),
        "root_path": "",
    }
    if prefix:
        scope["inspector.prefix"] = prefix
    return View(Request(scope), None, sandbox, True, form)  # type: ignore[arg-type]  # it calls nothing


def test_arguments_and_fields_have_no_space_around_them() -> None:
    view = make_view("a=+x+y+&b=", form=FormData([("f", " x\n"), ("file", UploadFile(None))]))  # type: ignore[arg-type]

    assert [view.argument(name, "d") for name in "abc"] == ["x y", "", "d"]
    assert view.argument("c") == ""
    assert [view.field(name, "d") for name in ("f", "file", "no")] == ["x", "d", "d"]
    assert view.field("no") == ""


@pytest.mark.parametrize("prefix", ["", "/llm"])
def test_a_mounted_server_has_its_prefix_in_every_address(prefix: str) -> None:
    view = make_view(prefix=prefix)

    assert view.base == f"{prefix}/__admin"
    assert view.origin == f"http://here:4024{prefix}"


@pytest.mark.parametrize("prefix", ["", "/llm"])
def test_after_a_form_the_page_of_the_same_sandbox_is_shown(prefix: str) -> None:
    response = make_view(prefix=prefix, sandbox="a b").redirect("/stubs", done="stub")

    assert response.status_code == 303
    target = response.headers["location"]
    assert target.startswith(f"{prefix}/__admin")
    assert target.endswith("/stubs?sandbox=a+b&done=stub")


def test_a_page_says_what_a_form_has_done() -> None:
    assert b"The sandbox is reset." in make_view("done=reset").plain_page("problem.html", facts=None, detail="x").body
    for notice in NOTICES.values():
        page = make_view("done=unknown").plain_page("problem.html", status=404, facts=None, detail="x")
        assert notice.encode() not in bytes(page.body)
        assert page.status_code == 404


def test_a_text_is_one_part_of_a_path() -> None:
    assert quoted("a/b c?\u00e4") == "a%2Fb%20c%3F%C3%A4"
    assert (DEFAULT_SANDBOX, ROWS_OF_A_PAGE) == ("default", 50)
