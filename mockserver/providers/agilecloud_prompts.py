"""Prompt templates as values: their versions, which one requests get, and the test of two of them."""

from collections.abc import Mapping, MutableMapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from mockserver.state.batches import Lifecycle
from mockserver.state.ids import digest


class VersionStatus(StrEnum):
    """Where a version is; at most one of a prompt is published."""

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


class IllegalTransition(Exception):  # noqa: N818  the lifecycle's word; STYLE shows it
    """A version asked to become what the lifecycle does not let it become."""


class PromptVersion(NamedTuple):
    """One wording of a prompt: a template, or messages with templates in them."""

    number: int
    """From 1."""
    template: str | None = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    model_config: Mapping[str, Any] = {}
    variables: tuple[str, ...] | None = None
    """The placeholders that were declared; None when that was left to the content."""
    change_note: str | None = None
    status: VersionStatus = VersionStatus.DRAFT
    created_at: float = 0.0
    """Sandbox time in Unix seconds, like the others."""
    published_at: float | None = None
    archived_at: float | None = None

    def became(self, status: VersionStatus, now: float) -> "PromptVersion":
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
        """The messages, not yet rendered; a template is one message of the user."""
        if self.messages is not None:
            return list(self.messages)
        return [{"role": "user", "content": self.template or ""}]


class Uses(NamedTuple):
    """What a version under test was asked and answered."""

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class AbTest(NamedTuple):
    """Two versions that share the requests which name none."""

    version_a: int
    version_b: int
    split: float
    """The share of requests that get version B."""
    started_at: float
    uses: Mapping[int, Uses] = {}


class Prompt(NamedTuple):
    """A prompt with all its versions. A change makes a new value."""

    slug: str
    account: str = ""
    """Whose it is, by token; empty for one from the fixtures."""
    name: str = ""
    description: str | None = None
    model: str | None = None
    versions: tuple[PromptVersion, ...] = ()
    created_at: float = 0.0
    updated_at: float = 0.0
    archived_at: float | None = None
    ab_test: AbTest | None = None

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

    def version(self, number: int) -> PromptVersion | None:
        return self.versions[number - 1] if 1 <= number <= len(self.versions) else None

    def described(self, now: float, **changes: Any) -> "Prompt":
        """The prompt with another name, description or model."""
        return self._replace(**changes, updated_at=now)

    def drafted(self, content: PromptVersion, now: float) -> "Prompt":
        """The prompt with one more version, a draft under the next number."""
        draft = content._replace(number=len(self.versions) + 1, status=VersionStatus.DRAFT, created_at=now)
        return self._replace(versions=(*self.versions, draft), updated_at=now)

    def published(self, number: int, now: float) -> "Prompt":
        """The prompt with that version published and the one before archived; raises IllegalTransition."""
        chosen = self.versions[number - 1].became(VersionStatus.PUBLISHED, now)
        if chosen == self.versions[number - 1]:
            return self
        versions = [
            each.became(VersionStatus.ARCHIVED, now) if each.status is VersionStatus.PUBLISHED else each
            for each in self.versions
        ]
        versions[number - 1] = chosen
        return self._replace(versions=tuple(versions), updated_at=now)

    def archived(self, now: float) -> "Prompt":
        """The prompt put away: it can still be looked at."""
        return self if self.is_archived else self._replace(archived_at=now, updated_at=now)

    def tested(self, test: AbTest) -> "Prompt":
        """The prompt with a test that begins now."""
        return self._replace(ab_test=test, updated_at=test.started_at)

    def used(
        self, number: int, *, failed: bool = False, prompt_tokens: int = 0, completion_tokens: int = 0
    ) -> "Prompt":
        """The prompt after one more request got a version; it counts where that is under test."""
        test = self.ab_test
        if test is None or number not in {test.version_a, test.version_b}:
            return self
        before = test.uses.get(number, Uses())
        after = Uses(
            before.requests + 1,
            before.failed + failed,
            before.prompt_tokens + prompt_tokens,
            before.completion_tokens + completion_tokens,
        )
        return self._replace(ab_test=test._replace(uses={**test.uses, number: after}))


def ab_version(prompt: Prompt, key: bytes) -> int | None:
    """Which version a request without a number gets; `key` is its identity, and the same one always gets the same.

    None when no test runs: none was started, or one of its versions has been archived since.
    """
    test = prompt.ab_test
    if test is None:
        return None
    versions = prompt.version(test.version_a), prompt.version(test.version_b)
    if any(each is None or each.is_archived for each in versions):
        return None
    share = int.from_bytes(digest(prompt.slug.encode(), key)[:8], "big") / 2**64
    return test.version_b if share < test.split else test.version_a


class PromptBook:
    """The prompts one account sees: its own, and those of the fixtures that it has not replaced."""

    def __init__(
        self,
        shelf: MutableMapping[str, Any],
        account: str,
        fixtures: Sequence[Mapping[str, Any]] = (),
        *,
        born: float = 0.0,
    ) -> None:
        """`shelf` holds the prompts of all accounts of a sandbox; `fixtures` are entries as written in files.

        `born` is when the sandbox began, and the prompts of the fixtures with it.
        """
        self._shelf = shelf
        self._account = account
        self._fixtures = fixtures
        self._born = born

    def find(self, slug: str) -> Prompt | None:
        """The prompt of that slug, be it archived."""
        own = self.own(slug)
        if own is not None:
            return own
        return next((read_prompt(each, self._born) for each in self._fixtures if each["slug"] == slug), None)

    def own(self, slug: str) -> Prompt | None:
        """The prompt of that slug that the account made or changed."""
        found: Prompt | None = self._shelf.get(self._key(slug))
        return found

    def put(self, prompt: Prompt) -> Prompt:
        """Keep a prompt as the account's own."""
        kept = prompt._replace(account=self._account)
        self._shelf[self._key(prompt.slug)] = kept
        return kept

    def count(self, slug: str, number: int, *, failed: bool, prompt_tokens: int, completion_tokens: int) -> None:
        """Note that a request got this version from a version test, and what came of it."""
        prompt = self.own(slug)
        if prompt is not None:
            self.put(
                prompt.used(number, failed=failed, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
            )

    def all(self) -> list[Prompt]:
        """Every prompt that is not archived, in the order of slugs."""
        seen = {each["slug"]: read_prompt(each, self._born) for each in reversed(self._fixtures)}
        seen |= {each.slug: each for each in self._shelf.values() if each.account == self._account}
        return [seen[slug] for slug in sorted(seen) if not seen[slug].is_archived]

    def _key(self, slug: str) -> str:
        return f"{self._account}\n{slug}"


def read_prompt(entry: Mapping[str, Any], born: float) -> Prompt:
    """The prompt that a fixture describes.

    One of its versions is published: the last that says so, else the last that says nothing. Versions before it that say
    nothing are archived.
    """
    written: Sequence[Mapping[str, Any]] = entry.get("versions") or [entry]
    shared = {name: entry[name] for name in ("model_config", "variables") if name in entry}
    versions = tuple(
        _born_as(read_content({**shared, **each}), n, status, born)
        for n, (each, status) in enumerate(zip(written, _statuses(written), strict=True), 1)
    )
    return Prompt(
        slug=entry["slug"],
        name=entry.get("name") or entry["slug"],
        description=entry.get("description"),
        model=entry.get("model"),
        versions=versions,
        created_at=born,
        updated_at=born,
    )


def _statuses(written: Sequence[Mapping[str, Any]]) -> list[VersionStatus]:
    said = [each.get("status") for each in written]
    chosen = max((n for n, each in enumerate(said) if each == VersionStatus.PUBLISHED), default=None)
    if chosen is None:
        chosen = max((n for n, each in enumerate(said) if each is None), default=None)
    return [
        VersionStatus.PUBLISHED
        if n == chosen
        else VersionStatus.DRAFT
        if each == VersionStatus.DRAFT
        else VersionStatus.ARCHIVED
        for n, each in enumerate(said)
    ]


def _born_as(content: PromptVersion, number: int, status: VersionStatus, born: float) -> PromptVersion:
    draft = content._replace(number=number, created_at=born)
    if status is VersionStatus.ARCHIVED:
        draft = draft.became(VersionStatus.PUBLISHED, born)
    return draft.became(status, born)


def read_content(body: Mapping[str, Any]) -> PromptVersion:
    """What a request or a fixture says of a version; a draft that has no number yet."""
    messages = body.get("messages")
    return PromptVersion(
        number=0,
        template=body.get("template"),
        messages=None if messages is None else tuple(messages),
        model_config=body.get("model_config") or {},
        variables=None if body.get("variables") is None else tuple(body["variables"]),
        change_note=body.get("change_note"),
    )
