"""Is a host this machine itself? What is sent to it over plain http stays here."""

import ipaddress


def is_loopback(host: str) -> bool:
    """By its address, without brackets, or its name, `localhost`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
