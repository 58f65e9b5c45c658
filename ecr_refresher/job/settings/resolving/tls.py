"""Certificates and keys: one is of use only with the other."""

from __future__ import annotations

from ..problems import Place, Problems


def check_pair(cert: str | None, key: str | None, place: Place, problems: Problems) -> None:
    """Note an error where `tls_cert` or `tls_key` is given without the other."""
    for name, own, other, file in (("tls_cert", cert, "tls_key", key), ("tls_key", key, "tls_cert", cert)):
        if own is None and file is not None:
            problems.error((*place, name), f"is missing; {other} is given, and is of use only with it")
