"""Where an engine is, and the files of its TLS: `engine`, `tls_ca`, `tls_cert` and `tls_key` of a section."""

from __future__ import annotations

from ....core import plan
from ..problems import Place, Problems
from ..schema import CleanupEntry, DockerEntry
from . import tls
from .paths import Paths


def resolve(entry: DockerEntry | CleanupEntry, place: Place, paths: Paths, problems: Problems) -> plan.Engine | None:
    """The engine of a section; None where none is given, or what was given is wrong."""
    files = {"tls_ca": entry.tls_ca, "tls_cert": entry.tls_cert, "tls_key": entry.tls_key}
    given = [key for key, file in files.items() if file is not None]
    if problems.is_spoiled((*place, "engine")):
        return None
    if entry.engine is None or entry.engine.startswith("unix:"):
        for key in given:
            problems.error((*place, key), "goes with an engine at tcp://; remove it, or give that engine")
        return None if entry.engine is None else plan.Engine(entry.engine)
    tls.check_pair(entry.tls_cert, entry.tls_key, place, problems)
    if not given:
        problems.warn((*place, "engine"), "tcp:// without tls_ca: what is said goes there unencrypted, logins too")
    return plan.Engine(
        entry.engine, paths.absolute(entry.tls_ca), paths.absolute(entry.tls_cert), paths.absolute(entry.tls_key)
    )
