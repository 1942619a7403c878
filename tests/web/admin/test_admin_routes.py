"""Where admin calls are answered: in a thread if their work grows with the sandbox, in steps if they yield."""

import inspect

import pytest

from mockserver.web.admin.call import AdminRoute
from mockserver.web.admin.routes import ROUTES

BOUNDED = """
GET /version, GET /openapi.json, POST /reset, POST /reset/{part}, GET /sandboxes, GET /sandboxes/{name}, POST
/sandboxes, DELETE /sandboxes/{name}, POST /import, DELETE /requests, DELETE /coverage, GET /clock, PUT /clock,
POST /clock/advance, POST /clock/freeze, POST /clock/resume, POST /clock/scale, GET /progression, PUT /progression,
POST /next, DELETE /stubs, DELETE /stubs/{id}, DELETE /faults, DELETE /callbacks, POST /callbacks/{id}/redeliver,
GET /webhooks, POST /webhooks/{name}, GET /scenarios, GET /scenarios/{name}, POST /scenarios/{name}, GET
/conditions, PUT /conditions, DELETE /conditions
"""
"""The calls whose work does not grow with what the sandbox holds, or that find a thread of their own."""
NO_SET_UP = """
POST /reset, POST /reset/{part}, POST /sandboxes, DELETE /sandboxes/{name}, POST /import, DELETE /requests, POST
/requests/count, POST /requests/find, POST /requests/order, DELETE /coverage
"""
"""The calls that only look, or that leave nothing behind: they do not keep their sandbox from eviction."""


def listed(text: str) -> set[str]:
    return {" ".join(each.split()) for each in text.split(",")}


def name_of(route: AdminRoute) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", ROUTES, ids=name_of)
def test_a_call_that_yields_steps_is_answered_in_steps(route: AdminRoute) -> None:
    assert route.in_steps == inspect.isgeneratorfunction(route.answer)


def test_a_call_whose_work_grows_with_its_sandbox_holds_up_no_other() -> None:
    assert {name_of(route) for route in ROUTES if not route.grows} == listed(BOUNDED)


def test_exports_and_imports_may_be_large() -> None:
    assert {name_of(route) for route in ROUTES if route.is_large} == {"GET /export", "POST /import"}


def test_calls_that_change_a_sandbox_are_set_up_but_for_those_that_leave_nothing() -> None:
    assert {name_of(route) for route in ROUTES if not route.sets_up and route.method != "GET"} == listed(NO_SET_UP)
    assert not any(route.sets_up for route in ROUTES if route.method == "GET")
