"""Where a webhook may go and how a message is signed (Standard Webhooks 1.0). Plain values in and out."""

import base64
import hmac
import ipaddress
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

WAITS: Final = tuple(timedelta(minutes=one) for one in (1, 5, 30, 120, 360, 720, 1440))
"""How long after each failed try the next one comes; after the last there is none."""
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every secret begins
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Say whether an IP address lies in the open internet, by whatever notation it reaches inside."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        if inner is not None or ip.teredo is not None:
            return inner is not None and is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def may_go_to(url: str) -> bool:
    """Say whether an address could be a system's in the open internet; what its name leads to is judged at each sending."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or not host or parts.username is not None or parts.fragment or not url.isprintable() or " " in url:
        return False
    if ":" in host or host.replace(".", "").isdigit():
        return is_public(host)
    return "." in host.strip(".") and not host.rstrip(".").endswith((".local", ".localhost", ".internal", ".lan", ".home.arpa"))


def shown_secret(secret: bytes) -> str:
    """Return a secret as libraries take it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def signature(secret: bytes, *, message_id: str, at: int, body: str) -> str:
    """Return the `webhook-signature` of a message; `at` in whole seconds."""
    said = f"{message_id}.{at}.{body}".encode()
    return f"v1,{base64.b64encode(hmac.digest(secret, said, 'sha256')).decode()}"
