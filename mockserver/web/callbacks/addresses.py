"""Loopback addresses and names."""

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Whether the text is a loopback IP address, including IPv4 mapped into IPv6. Names are not resolved."""
    address = _address(host)
    return address is not None and address.is_loopback


def is_local(host: str) -> bool:
    """Whether a connection to the IP address stays on this machine; true of the unspecified address, too."""
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def is_loopback_name(host: str) -> bool:
    """Whether the name always resolves to loopback (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")


def listens_on_loopback(host: str) -> bool:
    """Whether a server with this `--host` is reachable from this machine only."""
    if is_loopback(host) or is_loopback_name(host):
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(is_loopback(str(each[4][0])) for each in found)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
