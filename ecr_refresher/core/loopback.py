"""Is a host this machine itself? What is sent to it over plain http stays here."""

import ipaddress


def is_loopback(host: str) -> bool:
    """By its name, `localhost`, or its address; without brackets."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
