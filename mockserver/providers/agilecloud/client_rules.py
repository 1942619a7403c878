"""The table of AgileCloud's batches for the verdict on a client."""

from typing import TYPE_CHECKING

from mockserver.api.client_rules import ClientRules
from mockserver.lazy import lazy_function, lazy_module

# Most users need one API of two, so start-up imports none of the handlers.
if TYPE_CHECKING:
    from mockserver.providers.agilecloud.batches import job
else:
    job = lazy_module("mockserver.providers.agilecloud.batches.job")

CLIENT_RULES = (
    ClientRules(
        create="createBatch",
        status=("retrieveBatch", "listBatches", "cancelBatch"),
        id=("path", "batch_id"),
        ends=frozenset({"completed", "failed", "expired", "cancelled"}),
        unfinished_ends=frozenset({"failed", "expired", "cancelled"}),
        batch_state=lazy_function(lambda: job.batch_state),
        failed=("request_counts", "failed"),
        download="downloadFile",
        error_file="error_file_id",
    ),
)
