"""All routes of the admin API."""

from mockserver.web.admin import accounts as admin_accounts
from mockserver.web.admin import callbacks as admin_callbacks
from mockserver.web.admin import clock as admin_clock
from mockserver.web.admin import journal as admin_requests
from mockserver.web.admin import listings as admin_holdings
from mockserver.web.admin import sandboxes as admin_sandboxes
from mockserver.web.admin import scenarios as admin_scenarios
from mockserver.web.admin import snapshots as admin_snapshots
from mockserver.web.admin import stubs as admin_rules
from mockserver.web.admin import verify as admin_review

ROUTES = (
    *admin_sandboxes.VERBS,
    *admin_snapshots.VERBS,
    *admin_requests.VERBS,
    *admin_review.VERBS,
    *admin_clock.VERBS,
    *admin_accounts.VERBS,
    *admin_holdings.VERBS,
    *admin_rules.VERBS,
    *admin_callbacks.VERBS,
    *admin_scenarios.VERBS,
)
