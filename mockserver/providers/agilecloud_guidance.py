"""What a good client of AgileCloud does: the table that a verdict on one is read from."""

from mockserver.provider import Guidance, Later

GUIDANCE = (
    Guidance(
        create="createBatch",
        status=("retrieveBatch", "listBatches", "cancelBatch"),
        id=("path", "batch_id"),
        ends=frozenset({"completed", "failed", "expired", "cancelled"}),
        lost=frozenset({"failed", "expired", "cancelled"}),
        standing=Later("mockserver.providers.agilecloud_jobs", "standing"),
        failed=("request_counts", "failed"),
        download="downloadFile",
        error_file="error_file_id",
    ),
)
