"""What AgileCloud declares apart from its code: its settings, its address, the variables that clients read."""

from dataclasses import dataclass

from mockserver.settings.declarations import BEHAVING, CREDENTIAL, SERVING, Declaration, client_variables, setting
from mockserver.settings.parse import read_capacity


@dataclass(frozen=True, init=False, repr=False, eq=False)
class AgileCloudSettings:
    """The settings that are only true of AgileCloud."""

    agilecloud_profile: str = setting(
        "agilecloud",
        "How AgileCloud's batches live: with its own five statuses, or with OpenAI's eight.",
        group=SERVING,
        choices=("agilecloud", "openai"),
        condition=True,
    )
    capacity: str = setting(
        "free",
        "What AgileCloud has left for batches: 'free', 'busy' (they wait), or an ISO 8601 instant of sandbox time "
        "until which it is busy (UTC unless it says otherwise).",
        group=BEHAVING,
        metavar="WHEN",
        syntax=read_capacity,
    )
    keep_order: bool = setting(
        False,
        "Write a batch's output in the order of its input (the real API does not).",
        group=BEHAVING,
        condition="Whether AgileCloud's outputs have the order of their inputs.",
    )
    missing_variables: str = setting(
        "error",
        "What a prompt template of AgileCloud makes of a variable without a value: the request fails ('error'), or "
        "nothing is written in its place ('blank').",
        group=BEHAVING,
        choices=("error", "blank"),
        condition=True,
    )
    rate_limit: int = setting(
        0, "Requests per minute and key that AgileCloud answers; 0 is no limit.", group=BEHAVING, minimum=0
    )
    any_model: bool = setting(
        False, "Accept any model's name at AgileCloud, not only the listed models and their snapshots.", group=BEHAVING
    )


DECLARATION = Declaration(
    settings=AgileCloudSettings,
    base_paths={"openai_base_url": "/v1"},
    variables={
        "OPENAI_BASE_URL": "openai_base_url",
        "OPENAI_API_BASE": "openai_base_url",
        "OPENAI_API_KEY": CREDENTIAL,
        **client_variables("openai_base_url", "AGILECLOUD"),
    },
    removed_variables=(
        "OPENAI_ADMIN_KEY",
        "OPENAI_ORG_ID",
        "OPENAI_ORGANIZATION",
        "OPENAI_PROJECT",
        "OPENAI_PROJECT_ID",
        "OPENAI_WEBHOOK_SECRET",
        "OPENAI_CUSTOM_HEADERS",
        "OPENAI_API_TYPE",
        "OPENAI_API_VERSION",
        "AZURE_OPENAI_API_KEY",
        "AZURE_OPENAI_AD_TOKEN",
        "AZURE_OPENAI_ENDPOINT",
    ),
    index=(
        ("AgileCloud", "/v1", "the base URL for OpenAI's SDKs"),
        ("", "/api/v1/prompts", "its prompt templates"),
    ),
)
