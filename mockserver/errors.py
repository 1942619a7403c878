"""What can go wrong: at start (documents, fixtures, settings), and in one request (a refusal and its violations)."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple


class MockServerError(Exception):
    """Something to mend before the server can start; the message says where, what came, and what was wanted."""


class SpecError(MockServerError):
    """An OpenAPI document that cannot be served."""

    def __init__(self, message: str, *others: str) -> None:
        """`others` are further mistakes of the same document, each with its place."""
        super().__init__(message)
        self.others = others


class FixtureError(MockServerError):
    """A fixture file that cannot be used."""


class SettingsError(MockServerError):
    """A flag, variable or config entry that makes no sense."""


class Reason(StrEnum):
    """Why a request is turned away. The reason picks the status among those the operation documents."""

    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NO_CREDITS = "no-credits"
    INVALID = "invalid"
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type"
    UNSUPPORTED_CODING = "unsupported-coding"
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
"""The status where the server's disk takes no more: no document has it, because no vendor tells."""


class Violation(NamedTuple):
    """One way a value breaks its schema."""

    location: tuple[str | int, ...]
    """Where: `("body", "prompts", 3)`, `("query", "id")`, `("header", "Authorization")`."""
    code: str
    """The JSON Schema keyword that was broken, or a word of the same kind (`duplicate`, `syntax`, `media-type`)."""
    message: str
    rule: Mapping[str, Any] = {}
    """The subschema that was broken, for whoever phrases the refusal."""
    value: Any = None
    """What stands there: a number, the beginning of a text; of a list or an object only that it is one."""

    @property
    def name(self) -> str:
        """The nearest name around the value: `prompts` for `("body", "prompts", 3)`."""
        return next((str(part) for part in reversed(self.location) if isinstance(part, str)), "")


class Refusal(Exception):  # noqa: N818  a glossary word: a request turned away is not an error of ours
    """A request turned away. Raised anywhere on the walk, answered by the engine in one place."""

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        violations: Sequence[Violation] = (),
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """`detail` is the client's text where the document leaves it open; `status` overrides the reason's pick."""
        super().__init__(detail or reason.value)
        self.reason = reason
        self.detail = detail
        self.violations = tuple(violations)
        self.status = status
        self.headers = headers

    def without_frames(self) -> "Refusal":
        """The same, without the frames that it passed and the exceptions behind it: these hold the request's body."""
        behind: BaseException | None = self
        while behind is not None:
            behind.__traceback__, behind = None, behind.__cause__ or behind.__context__
        self.__context__ = self.__cause__ = None
        return self
