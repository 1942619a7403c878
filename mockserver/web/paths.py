"""Paths that the server answers itself, beside those of the documents."""

from mockserver.http import Response

ADMIN_PREFIX = "/__admin"
INSPECTOR_PREFIX = f"{ADMIN_PREFIX}/ui"
INSPECTOR_PATHS = frozenset({ADMIN_PREFIX, f"{ADMIN_PREFIX}/", f"{ADMIN_PREFIX}/docs"})
"""Paths of the inspector's pages beside those below its prefix; all other paths under ADMIN_PREFIX are the admin API.
"""
ROOT = "/"
"""The index page, for a server that is opened in a browser, unless a document has an operation there."""
READY = "/ready"
HEALTH = {
    f"/{path}": Response(200, "application/json", b'{"status":"%b"}' % word)
    for path, word in (("health", b"ok"), ("ready", b"ready"))
}
"""Health checks. They need no token, and faults do not apply."""
METRICS = "/metrics"
"""Figures of operation. They need the admin token where /__admin does, and faults do not apply."""
NOT_READY = Response(503, "application/json", b'{"status":"the store does not answer"}', (("Retry-After", "1"),))
"""The answer of /ready while the store does not answer."""
STOPPING = Response(503, "application/json", b'{"status":"stopping"}')
"""The answer of /ready once the server was told to stop."""

_SIZES = ("", *(f"-{size}x{size}" for size in (57, 60, 72, 76, 114, 120, 144, 152, 167, 180)))
BROWSER_PATHS = (
    "/favicon.ico",
    "/robots.txt",
    "/.well-known/appspecific/com.chrome.devtools.json",
    *(f"/apple-touch-icon{size}{kind}.png" for size in _SIZES for kind in ("", "-precomposed")),
)
"""Paths that browsers and crawlers request on their own: answered without a body, and kept out of every journal."""
NO_CONTENT = Response(204, headers=(("Cache-Control", "max-age=86400"),))
"""The answer; a browser need not ask again on the same day."""
