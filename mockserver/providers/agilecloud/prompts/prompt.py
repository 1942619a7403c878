"""Prompt templates as values: versions, the published version, and version tests."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from mockserver.records import Bounds, Record
from mockserver.sandbox.batches import Lifecycle
from mockserver.sandbox.clock import Instant
from mockserver.sandbox.ids import digest


class VersionStatus(StrEnum):
    """The status of a version; at most one of a prompt is published."""

    DRAFT = "draft"
    PUBLISHED = "published"
    ARCHIVED = "archived"


LIFECYCLE = Lifecycle(
    {
        VersionStatus.DRAFT: {VersionStatus.PUBLISHED, VersionStatus.ARCHIVED},
        VersionStatus.PUBLISHED: {VersionStatus.ARCHIVED},
        VersionStatus.ARCHIVED: set(),
    }
)


class IllegalTransition(Exception):
    """A change of status that the lifecycle does not allow."""


class PromptVersion(Record, frozen=True, gc=False):
    """One version of a prompt: a template, or messages with templates in them."""

    number: int
    """From 1."""
    template: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    model_config: Mapping[str, Any] = {}
    variables: tuple[str, ...] | None = None
    """The declared placeholders; None if they are taken from the content."""
    change_note: str | None = None
    status: VersionStatus = VersionStatus.DRAFT
    created_at: Instant = 0.0
    """Sandbox time, like the others."""
    published_at: Instant | None = None
    archived_at: Instant | None = None

    def with_status(self, status: VersionStatus, now: float) -> "PromptVersion":
        """The version with another status; raises IllegalTransition."""
        if not LIFECYCLE.allows(self.status, status):
            raise IllegalTransition(f"version {self.number} is {self.status}")
        if status is self.status:
            return self
        published = status is VersionStatus.PUBLISHED
        return self._replace(
            status=status,
            published_at=now if published else self.published_at,
            archived_at=self.archived_at if published else now,
        )

    @property
    def is_archived(self) -> bool:
        return self.status is VersionStatus.ARCHIVED

    @property
    def contents(self) -> list[Mapping[str, Any]]:
        """The messages, not rendered; a template is one user message."""
        if self.messages is not None:
            return list(self.messages)
        return [{"role": "user", "content": self.template or ""}]


Count = Annotated[int, Bounds(ge=0, le=2**40)]


class VersionStats(Record, frozen=True, gc=False):
    """Requests and results of a version in a test."""

    requests: Count = 0
    failed: Count = 0
    prompt_tokens: Count = 0
    completion_tokens: Count = 0


class AbTest(Record, frozen=True, gc=False):
    """Two versions that share the requests without a version number."""

    version_a: int
    version_b: int
    split: Annotated[int, Bounds(ge=0, le=1)] | Annotated[float, Bounds(ge=0, le=1)]
    """The share of requests that get version B."""
    started_at: Instant
    uses: Mapping[int, VersionStats] = {}


class Prompt(Record, frozen=True, gc=False):
    """A prompt with all its versions."""

    slug: str
    account: str = ""
    """The owner's token; empty for a prompt of the fixtures."""
    name: str = ""
    description: str | None = None
    model: str | None = None
    versions: tuple[PromptVersion, ...] = ()
    created_at: Instant = 0.0
    updated_at: Instant = 0.0
    archived_at: Instant | None = None
    ab_test: AbTest | None = None

    def __post_init__(self) -> None:
        if [each.number for each in self.versions] != [*range(1, len(self.versions) + 1)]:
            raise ValueError("its versions are not numbered from 1")
        if sum(each.status is VersionStatus.PUBLISHED for each in self.versions) > 1:
            raise ValueError("more than one of its versions is published")
        test = self.ab_test
        if test is not None and not (self.version(test.version_a) and self.version(test.version_b)):
            raise ValueError("its test is of versions that are not there")

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None

    @property
    def latest(self) -> PromptVersion:
        return self.versions[-1]

    @property
    def current(self) -> PromptVersion | None:
        """The published version."""
        return next((each for each in self.versions if each.status is VersionStatus.PUBLISHED), None)

    def version(self, number: float) -> PromptVersion | None:
        """The version with that number; JSON may have 2.0 for 2."""
        return self.versions[int(number) - 1] if 1 <= number <= len(self.versions) else None

    def described(self, now: float, **changes: Any) -> "Prompt":
        """The prompt with another name, description or model."""
        return self._replace(**changes, updated_at=now)

    def drafted(self, content: PromptVersion, now: float) -> "Prompt":
        """The prompt with one more version, a draft with the next number."""
        draft = content._replace(number=len(self.versions) + 1, status=VersionStatus.DRAFT, created_at=now)
        return self._replace(versions=(*self.versions, draft), updated_at=now)

    def published(self, number: int, now: float) -> "Prompt":
        """The prompt with that version published and the previous one archived; raises IllegalTransition."""
        chosen = self.versions[number - 1].with_status(VersionStatus.PUBLISHED, now)
        if chosen == self.versions[number - 1]:
            return self
        versions = [
            each.with_status(VersionStatus.ARCHIVED, now) if each.status is VersionStatus.PUBLISHED else each
            for each in self.versions
        ]
        versions[number - 1] = chosen
        return self._replace(versions=tuple(versions), updated_at=now)

    def archived(self, now: float) -> "Prompt":
        """The archived prompt, which can still be read."""
        return self if self.is_archived else self._replace(archived_at=now, updated_at=now)

    def with_test(self, test: AbTest) -> "Prompt":
        """The prompt with a test that begins now."""
        return self._replace(ab_test=test, updated_at=test.started_at)

    def with_use(
        self, number: int, *, failed: bool = False, prompt_tokens: int = 0, completion_tokens: int = 0
    ) -> "Prompt":
        """The prompt after one more request to a version, which counts if the version is under test."""
        test = self.ab_test
        if test is None or number not in {test.version_a, test.version_b}:
            return self
        before = test.uses.get(number, VersionStats())
        after = VersionStats(
            before.requests + 1,
            before.failed + failed,
            before.prompt_tokens + prompt_tokens,
            before.completion_tokens + completion_tokens,
        )
        return self._replace(ab_test=test._replace(uses={**test.uses, number: after}))


def ab_version(prompt: Prompt, key: bytes) -> int | None:
    """The version for a request without a number. `key` identifies the request; the same one always gets the same
    version.

    None if no test is running: none was started, or one of its versions has been archived since.
    """
    test = prompt.ab_test
    if test is None:
        return None
    versions = prompt.version(test.version_a), prompt.version(test.version_b)
    if any(each is None or each.is_archived for each in versions):
        return None
    share = int.from_bytes(digest(prompt.slug.encode(), key)[:8], "big") / 2**64
    return test.version_b if share < test.split else test.version_a
