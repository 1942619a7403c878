"""What the admin API can do: the verbs of every room."""

from mockserver.web import (
    admin_accounts,
    admin_callbacks,
    admin_clock,
    admin_holdings,
    admin_requests,
    admin_review,
    admin_rules,
    admin_sandboxes,
    admin_scenarios,
    admin_snapshots,
)

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
