"""Starlette in, Starlette out: the gateway and the admin API."""
