"""Which addresses are of this machine only."""

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Whether the text is an IP address of loopback; one of IPv4 within IPv6 counts. Names are not looked up."""
    address = _address(host)
    return address is not None and address.is_loopback


def is_local(host: str) -> bool:
    """Whether connecting to the IP address leads to this machine by loopback: the unspecified address does, too."""
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_unspecified)


def is_loopback_name(host: str) -> bool:
    """Whether the name means loopback wherever it is looked up (RFC 6761)."""
    return host == "localhost" or host.endswith(".localhost")


def listens_on_loopback(host: str) -> bool:
    """Whether a server with this `--host` can be reached from this machine only."""
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
