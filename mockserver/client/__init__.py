"""The admin API from Python: `Client(url).sandbox(name)`."""

from mockserver.client.client import Client, SandboxClient

__all__ = ["Client", "SandboxClient"]
