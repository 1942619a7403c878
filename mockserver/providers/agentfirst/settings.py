"""What Agent First declares apart from its code: its settings, its address, the variables that clients read."""

from dataclasses import dataclass

from mockserver.settings.declarations import BEHAVING, SERVING, Declaration, client_variables, setting


@dataclass(frozen=True, init=False, repr=False, eq=False)
class AgentFirstSettings:
    """The settings that are only true of Agent First."""

    agentfirst_version: str = setting(
        "2026-04",
        "Agent First's completion field set: that of April or of July 2026.",
        group=SERVING,
        choices=("2026-04", "2026-07"),
    )
    page_weight: str = setting(
        "light",
        "Size of completion pages: a few kB, or the real 200 kB to 1.5 MB.",
        group=SERVING,
        choices=("light", "realistic"),
        condition="Size of Agent First's completion pages.",
    )
    credit_check: str = setting(
        "paid",
        "Which Agent First calls a balance of 0 refuses with 402: those that cost credits, or all that document a 402.",
        group=BEHAVING,
        choices=("paid", "documented"),
        condition=True,
    )
    empty_prompts: bool = setting(False, "Accept empty prompts (whether the real API does is unknown).", group=BEHAVING)


DECLARATION = Declaration(
    settings=AgentFirstSettings,
    base_paths={"base_url": ""},
    variables=client_variables("base_url", "AGENT_FIRST", "AGENTFIRST"),
    index=(("Agent First", "", "the base URL; POST /ai/batches queues prompts"),),
)
