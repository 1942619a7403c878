"""The prompts of an account: its own, and those of the fixtures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mockserver.providers.agilecloud.prompts.prompt import Prompt, PromptVersion, VersionStatus
from mockserver.sandbox.sandbox import Sandbox
from mockserver.stores.collection import Collection


def prompts_of(sandbox: Sandbox) -> Collection[Prompt]:
    """The prompts of all accounts of a sandbox, by account and slug."""
    return sandbox.collection("agilecloud.prompts", Prompt)


class PromptRepository:
    """The prompts of one account: its own, and those of the fixtures that it has not changed."""

    def __init__(
        self,
        prompts: Collection[Prompt],
        account: str,
        fixtures: Sequence[Mapping[str, Any]] = (),
        *,
        born: float = 0.0,
    ) -> None:
        """`prompts` holds the prompts of all accounts of a sandbox; `fixtures` are entries of files.

        `born` is the sandbox's first instant, the creation time of the fixtures' prompts.
        """
        self._prompts = prompts
        self._account = account
        self._fixtures = fixtures
        self._born = born

    def find(self, slug: str) -> Prompt | None:
        """The prompt with that slug, archived or not."""
        return find_prompt(self._prompts.get, self._account, self._fixtures, self._born, slug)

    def own(self, slug: str) -> Prompt | None:
        """The prompt with that slug that the account created or changed."""
        return self._prompts.get(self._key(slug))

    def put(self, prompt: Prompt) -> Prompt:
        """Store a prompt as the account's own."""
        kept = prompt._replace(account=self._account)
        self._prompts.put(self._key(prompt.slug), kept)
        return kept

    def count(self, slug: str, number: int, *, failed: bool, prompt_tokens: int, completion_tokens: int) -> None:
        """Record that a version test selected this version for a request, and the result."""
        prompt = self.own(slug)
        if prompt is not None:
            self.put(
                prompt.with_use(number, failed=failed, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
            )

    def all(self) -> list[Prompt]:
        """Every prompt that is not archived, in the order of slugs."""
        seen = {each["slug"]: read_prompt(each, self._born) for each in reversed(self._fixtures)}
        seen |= {each.slug: each for each in self._prompts.scan() if each.account == self._account}
        return [seen[slug] for slug in sorted(seen) if not seen[slug].is_archived]

    def _key(self, slug: str) -> str:
        return _key_of(self._account, slug)


def find_prompt(
    get: Callable[[str], Prompt | None], account: str, fixtures: Sequence[Mapping[str, Any]], born: float, slug: str
) -> Prompt | None:
    """The account's own prompt of that slug, which `get` finds, else that of the fixtures; be it archived."""
    own = get(_key_of(account, slug))
    if own is not None:
        return own
    return next((read_prompt(each, born) for each in fixtures if each["slug"] == slug), None)


def _key_of(account: str, slug: str) -> str:
    return f"{account}\n{slug}"


def read_prompt(entry: Mapping[str, Any], born: float) -> Prompt:
    """The prompt of a fixture's entry.

    One of its versions is published: the last with that status, else the last without a status. Others without a status
    are archived.
    """
    written: Sequence[Mapping[str, Any]] = entry.get("versions") or [entry]
    shared = {name: entry[name] for name in ("model_config", "variables") if name in entry}
    versions = tuple(
        _initial_status(read_content({**shared, **each}), n, status, born)
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


def _initial_status(content: PromptVersion, number: int, status: VersionStatus, born: float) -> PromptVersion:
    draft = content._replace(number=number, created_at=born)
    if status is VersionStatus.ARCHIVED:
        draft = draft.with_status(VersionStatus.PUBLISHED, born)
    return draft.with_status(status, born)


def read_content(body: Mapping[str, Any]) -> PromptVersion:
    """The version of a request or fixture; a draft without a number."""
    messages = body.get("messages")
    return PromptVersion(
        number=0,
        template=body.get("template"),
        messages=None if messages is None else tuple(messages),
        model_config=body.get("model_config") or {},
        variables=None if body.get("variables") is None else tuple(body["variables"]),
        change_note=body.get("change_note"),
    )
