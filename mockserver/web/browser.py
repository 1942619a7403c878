"""Paths that browsers and crawlers request by themselves. Answered without a body, and not recorded in journals."""

from mockserver.http import Response

_SIZES = ("", *(f"-{size}x{size}" for size in (57, 60, 72, 76, 114, 120, 144, 152, 167, 180)))
UNASKED_PATHS = (
    "/favicon.ico",
    "/robots.txt",
    "/.well-known/appspecific/com.chrome.devtools.json",
    *(f"/apple-touch-icon{size}{kind}.png" for size in _SIZES for kind in ("", "-precomposed")),
)
NOTHING = Response(204, headers=(("Cache-Control", "max-age=86400"),))
"""The response; a browser may cache it for a day."""
