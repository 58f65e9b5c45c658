"""Where an engine is, and the files of its TLS: `engine`, `tls_ca`, `tls_cert` and `tls_key` of a section."""

from __future__ import annotations

from ....core import plan
from ..problems import Place, Problems
from ..schema import CleanupEntry, DockerEntry
from . import tls, urls
from .paths import Paths


def resolve(entry: DockerEntry | CleanupEntry, place: Place, paths: Paths, problems: Problems) -> plan.Engine | None:
    """The engine of a section; None where none is given, or what was given is wrong."""
    files = {"tls_ca": entry.tls_ca, "tls_cert": entry.tls_cert, "tls_key": entry.tls_key}
    given = [key for key, file in files.items() if file is not None]
    there, address = (*place, "engine"), entry.engine
    if problems.is_spoiled(there):
        return None
    if address == urls.OF_DOCKER:
        try:
            address, files_there = paths.engine()
            address = urls.engine_url(address)
        except ValueError as error:
            problems.error(there, str(error))
            return None
        files = {**files_there, **{key: file for key, file in files.items() if file is not None}}
    if address is None or address.startswith("unix:"):
        for key in given:
            problems.error((*place, key), "goes with an engine at tcp://; remove it, or give that engine")
        return None if address is None else plan.Engine(address)
    if entry.engine != urls.OF_DOCKER:
        tls.check_pair(entry.tls_cert, entry.tls_key, place, problems)
    if not any(files.values()):
        problems.warn(there, "tcp:// without tls_ca: what is said goes there unencrypted, logins too")
    return plan.Engine(address, **files)
