"""Plans requests that Schemathesis generates from a document; needs the extra `verify`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mockserver.contract.live.plan import GENERATED, PlannedRequest
from mockserver.errors import SettingsError
from mockserver.lazy import lazy_module
from mockserver.openapi.operations import Operation

if TYPE_CHECKING:
    import hypothesis
    import schemathesis
else:
    hypothesis = lazy_module("hypothesis")
    schemathesis = lazy_module("schemathesis")  # the extra `verify`


def generated_requests(
    document: Mapping[str, Any], operations: Sequence[Operation], count: int
) -> Iterator[PlannedRequest]:
    """Up to `count` valid requests for each operation of a document, the same in each run. Raises SettingsError."""
    try:
        schema = schemathesis.openapi.from_dict(dict(document))
    except ImportError:
        raise SettingsError(
            "--generate needs the extra `verify`: pip install 'batch-mockserver[verify]', or '.[verify]' in a checkout"
        ) from None
    by_place = {(each.method, each.path): each for each in operations}
    for result in schema.get_all_operations():
        found: Any = result.ok()  # type: ignore[union-attr]  # the document is known to be valid
        operation = by_place.get((found.method.upper(), found.path))
        if operation is not None:
            yield from _requests(found, operation, count)


def _requests(found: Any, operation: Operation, count: int) -> Iterator[PlannedRequest]:
    cases: list[Any] = []
    checks = list(hypothesis.HealthCheck)

    @hypothesis.seed(0)
    @hypothesis.settings(
        max_examples=count, database=None, deadline=None, suppress_health_check=checks,
        phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    @hypothesis.given(case=found.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))
    def collect(case: Any) -> None:
        cases.append(case)

    collect()
    credentials = {scheme.name.lower() for each in operation.security for scheme in each}
    for case in cases:
        is_set = isinstance(case.body, dict | list | str | int | float) and case.media_type is not None
        if operation.body_required and not is_set:
            continue
        yield PlannedRequest(
            operation,
            GENERATED,
            path=dict(case.path_parameters or {}),
            query={name: each for name, each in (case.query or {}).items() if name.lower() not in credentials},
            headers={
                name: str(value)
                for name, value in (case.headers or {}).items()
                if name.lower() not in credentials and _can_be_sent(str(value))
            },
            media_type=case.media_type if is_set else "",
            body=case.body if is_set else None,
        )


def _can_be_sent(value: str) -> bool:
    return value.isprintable() and value.isascii()
