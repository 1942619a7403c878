"""A stand-in until the real faults are here."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mockserver.messages import Response

FAULT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": {"enum": ["latency", "status"]},
        "seconds": {"type": "number"},
        "status": {"type": "integer"},
    },
}


class Fault(NamedTuple):
    definition: Mapping[str, Any]

    def apply(self, response: Response, key: bytes) -> Response:  # noqa: ARG002
        if self.definition["type"] == "status":
            return response._replace(status=self.definition["status"], body=b"", media_type="")
        return response._replace(delay=response.delay + self.definition["seconds"])

    def described(self) -> dict[str, Any]:
        return dict(self.definition)


def read_fault(definition: Mapping[str, Any]) -> Fault:
    return Fault(definition)
