"""What the provider declares apart from its code; reading it imports no handlers."""

from dataclasses import dataclass

from mockserver.settings.declarations import BEHAVING, CREDENTIAL, Declaration, setting


@dataclass(frozen=True)
class MessageBatchSettings:
    """The provider's settings."""

    message_stop_reason: str = setting(
        "end_turn",
        "Why the messages of Anthropic's batches end.",
        group=BEHAVING,
        choices=("end_turn", "max_tokens"),
        condition="Why messages end.",
    )


DECLARATION = Declaration(
    settings=MessageBatchSettings,
    base_paths={"anthropic_base_url": ""},
    variables={"ANTHROPIC_BASE_URL": "anthropic_base_url", "ANTHROPIC_API_KEY": CREDENTIAL},
    removed_variables=("ANTHROPIC_AUTH_TOKEN",),
    index=(("Anthropic", "/v1/messages/batches", "Message Batches"),),
)
