"""The ASGI application: the gateway to the engine, and the admin API."""
