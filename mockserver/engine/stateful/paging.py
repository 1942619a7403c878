"""The part of a list that a request asks for, by the paging parameters that its operation documents."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

SIZES = ("limit", "per_page", "perPage", "page_size", "pageSize", "page[size]", "size", "count", "max_results",
         "maxResults", "top", "$top")  # fmt: skip
OFFSETS = ("offset", "skip", "start", "$skip", "startAt", "page[offset]")
PAGES = ("page", "page_number", "pageNumber", "page[number]")
AFTER = ("after", "starting_after", "cursor", "page_token", "pageToken", "next", "marker", "since")
TOTALS = ("total", "total_count", "totalCount", "count", "total_results", "totalItems", "total_items", "size")
MORE = ("has_more", "hasMore", "more", "has_next", "hasNext")
DEFAULT_SIZE = 100


class Page(NamedTuple):
    """A part of a list."""

    items: Sequence[Mapping[str, Any]]
    total: int
    """The number of items in the whole list."""
    has_more: bool


def page_of(items: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any], id_property: str) -> Page:
    """The items that the arguments ask for."""
    size = _whole(arguments, SIZES)
    limit = DEFAULT_SIZE if size is None else size
    start = _whole(arguments, OFFSETS) or 0
    page = _whole(arguments, PAGES)
    if page is not None:
        start = max(0, page - 1) * limit
    after = next((arguments[name] for name in AFTER if name in arguments), None)
    if after is not None:
        places = [n for n, each in enumerate(items) if str(each.get(id_property)) == str(after)]
        start = places[0] + 1 if places else start
    return Page(items[start : start + limit], len(items), start + limit < len(items))


def filtered(
    items: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any], names: Sequence[str]
) -> list[Mapping[str, Any]]:
    """The items whose properties have the values of the query arguments of the same names."""
    wanted = {name: arguments[name] for name in names if name in arguments and not _is_paging(name)}
    return [
        each for each in items if all(_fits(each.get(name), value) for name, value in wanted.items() if name in each)
    ]


def counts(page: Page, properties: Mapping[str, Any]) -> dict[str, Any]:
    """What a list response says of the whole list, in the properties that it documents."""
    found: dict[str, Any] = {name: page.total for name in TOTALS if name in properties}
    return found | {name: page.has_more for name in MORE if name in properties}


def _is_paging(name: str) -> bool:
    return name in {*SIZES, *OFFSETS, *PAGES, *AFTER}


def _fits(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, list) and not isinstance(value, list) else bool(value == wanted)


def _whole(arguments: Mapping[str, Any], names: Sequence[str]) -> int | None:
    found = (arguments[name] for name in names if name in arguments)
    return next((each for each in found if isinstance(each, int) and not isinstance(each, bool) and each >= 0), None)
