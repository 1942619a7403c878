"""Callbacks of the API behind the proxy: their URLs in requests, and the calls that the API makes."""
