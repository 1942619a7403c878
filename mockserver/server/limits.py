"""The bounds of a connection."""

from mockserver.records import Record


class ConnectionLimits(Record, frozen=True, gc=False):
    """Bounds of time, memory and number; see `protocol`. The settings have the values."""

    head_seconds: float
    head_bytes: int
    body_seconds: float
    send_seconds: float
    connections: int
