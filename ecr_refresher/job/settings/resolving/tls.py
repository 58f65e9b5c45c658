"""Certificates and keys: one is of use only with the other."""

from __future__ import annotations

from ..problems import Place, Problems


def check_pair(
    cert: str | None,
    key: str | None,
    place: Place,
    problems: Problems,
    names: tuple[str, str] = ("tls_cert", "tls_key"),
) -> None:
    """Note an error where a certificate is given without its key, or the other way round."""
    for name, own, other, file in ((names[0], cert, names[1], key), (names[1], key, names[0], cert)):
        if own is None and file is not None:
            problems.error((*place, name), f"is missing; {other} is given, and is of use only with it")
