"""The table of AgileCloud's batches for the verdict on a client."""

from mockserver.api.provider import ClientRules, LazyFunction

CLIENT_RULES = (
    ClientRules(
        create="createBatch",
        status=("retrieveBatch", "listBatches", "cancelBatch"),
        id=("path", "batch_id"),
        ends=frozenset({"completed", "failed", "expired", "cancelled"}),
        lost=frozenset({"failed", "expired", "cancelled"}),
        standing=LazyFunction("mockserver.providers.agilecloud.batches.job", "batch_state"),
        failed=("request_counts", "failed"),
        download="downloadFile",
        error_file="error_file_id",
    ),
)
