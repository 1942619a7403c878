"""AgileCloud's collections in a sandbox."""

from collections.abc import Mapping
from typing import Annotated, Any

from mockserver.providers.agilecloud.batches.job import BatchRecord
from mockserver.providers.agilecloud.files import FileRecord
from mockserver.providers.agilecloud.prompts.prompt import Prompt
from mockserver.providers.agilecloud.rate_limit import Bucket
from mockserver.providers.agilecloud.usage import MOST, Count, UsageEntry
from mockserver.records import Bounds


def collection_types() -> Mapping[str, Any]:
    """The type of each collection's values."""
    return {
        "agilecloud.jobs": BatchRecord,
        "agilecloud.files": FileRecord,
        "agilecloud.prompts": Prompt,
        "agilecloud.usage": UsageEntry,
        "agilecloud.usage_starts": Count,
        "agilecloud.usage_ends": Count,
        "agilecloud.buckets": Bucket,
        "agilecloud.asked": Annotated[int, Bounds(ge=1, le=MOST)],
    }
