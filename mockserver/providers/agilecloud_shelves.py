"""What AgileCloud keeps in a sandbox, shelf by shelf."""

from collections.abc import Mapping
from typing import Any

from mockserver.providers.agilecloud_files import FileRecord
from mockserver.providers.agilecloud_jobs import Job
from mockserver.providers.agilecloud_limits import Bucket
from mockserver.providers.agilecloud_prompts import Prompt
from mockserver.providers.agilecloud_usage import Metered


def shelves() -> Mapping[str, Any]:
    """The type of what lies on each shelf."""
    return {
        "jobs": Job,
        "files": FileRecord,
        "prompts": Prompt,
        "usage": list[Metered],
        "buckets": Bucket,
        "asked": int,
    }
