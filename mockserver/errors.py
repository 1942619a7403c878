"""Errors at start (documents, fixtures, settings) and rejections of a request (a Refusal and its violations)."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

ERROR, WARNING = "error", "warning"


class Problem(NamedTuple):
    """One thing to mend in a document or a fixture file (an error), or to think about (a warning)."""

    place: str
    """A file and line, or a document and an operation; empty where no place is known."""
    message: str
    severity: str = ERROR

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class MockServerError(Exception):
    """A mistake that keeps the server from starting; the text says where, the value, and what was expected."""

    def __init__(self, message: str, place: str = "") -> None:
        self.problem = Problem(place, message)
        super().__init__(str(self.problem))


class SpecError(MockServerError):
    """An OpenAPI document that cannot be served."""

    def __init__(self, message: str, place: str = "", *, others: Sequence[Problem] = ()) -> None:
        """`others` are further mistakes of the same document."""
        super().__init__(message, place)
        self.problems = (self.problem, *others)


class FixtureError(MockServerError):
    """A fixture file that cannot be used."""


class SettingsError(MockServerError):
    """An invalid flag, variable or config entry."""


class Reason(StrEnum):
    """Why a request is rejected. The reason selects the status among those that the operation documents."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NO_CREDITS = "no-credits"
    INVALID = "invalid"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    UNSUPPORTED_CODING = "unsupported-coding"
    NOT_ACCEPTABLE = "not-acceptable"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    RATE_LIMITED = "rate-limited"
    TOO_LARGE = "too-large"
    NO_SUCH_PATH = "no-such-path"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    TIMED_OUT = "timed-out"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


NO_STORAGE = 507
"""The status when the server's disk is full. No vendor documents one."""


class StoreError(MockServerError):
    """The store cannot be used; says why."""


class StoreUnavailable(Exception):
    """The store does not answer, or cannot keep more; says why. The client may try again."""

    def __init__(self, problem: str, *, is_full: bool = False) -> None:
        super().__init__(problem)
        self.is_full = is_full
        """Whether it has no room, or may not be written."""


class Conflict(Exception):
    """Another process has changed the sandbox during a transaction. Nothing was changed; run it again."""


class NeedsThread(Conflict):
    """The transaction would take long, and an event loop should not wait for it: run it in a thread."""


class StoreBusy(Conflict, StoreUnavailable):
    """Another process writes, and an event loop should not wait for it: run the transaction in a thread."""


class Violation(NamedTuple):
    """One way a value breaks its schema."""

    location: tuple[str | int, ...]
    """Where: `("body", "prompts", 3)`, `("query", "id")`, `("header", "Authorization")`."""
    code: str
    """The violated JSON Schema keyword, or a similar code (`duplicate`, `syntax`, `media-type`)."""
    message: str
    rule: Mapping[str, Any] = {}
    """The violated subschema. Error formatters read its limits."""
    value: Any = None
    """The value: a number, or the beginning of a string; for a list or an object only its type."""
    names: tuple[str, ...] = ()
    """The missing property of a `required`; the first unknown ones where no more are allowed."""

    @property
    def name(self) -> str:
        """The innermost name that contains the value: `prompts` for `("body", "prompts", 3)`."""
        return next((str(part) for part in reversed(self.location) if isinstance(part, str)), "")


class Refusal(Exception):
    """A rejected request. May be raised anywhere; the engine turns it into the documented error in one place."""

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        violations: Sequence[Violation] = (),
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """`detail` is the message where the document leaves it open; `status` overrides the status that the reason
        selects.
        """
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail
        self.violations = tuple(violations)
        self.status = status
        self.headers = headers

    def without_frames(self) -> "Refusal":
        """The same exception without traceback and causes, whose frames would keep the request's body in memory."""
        behind: BaseException | None = self
        while behind is not None:
            behind.__traceback__, behind = None, behind.__cause__ or behind.__context__
        self.__context__ = self.__cause__ = None
        return self
