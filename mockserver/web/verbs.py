"""What the admin API can do: the verbs of every room."""

from mockserver.web import admin_accounts, admin_clock, admin_holdings, admin_requests, admin_sandboxes, admin_snapshots

VERBS = (
    *admin_sandboxes.VERBS,
    *admin_snapshots.VERBS,
    *admin_requests.VERBS,
    *admin_clock.VERBS,
    *admin_accounts.VERBS,
    *admin_holdings.VERBS,
)
