"""What a good client of AgileCloud does: the table that a verdict on one is read from."""

from mockserver.api.client_rules import ClientRules
from mockserver.api.provider import LazyFunction

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
