"""`GET /metrics`: figures of operation in Prometheus' text format. Only read, and only imported, when asked for."""
