"""All routes of the admin API."""

from mockserver.web.admin import (
    accounts,
    callbacks,
    clock,
    journal,
    listings,
    sandboxes,
    scenarios,
    snapshots,
    stubs,
    verify,
)

ROUTES = tuple(
    route
    for module in (
        sandboxes, snapshots, journal, verify, clock, accounts, listings, stubs, callbacks, scenarios,
    )
    for route in module.ROUTES
)  # fmt: skip
