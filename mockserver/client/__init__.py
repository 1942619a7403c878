"""The admin API from Python: `Client(url).sandbox(name)`."""

from mockserver.client.client import AdminError, Client, Clock, SandboxClient

__all__ = ["AdminError", "Client", "Clock", "SandboxClient"]
