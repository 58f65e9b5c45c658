"""Where an engine is, and the files of its TLS: `engine`, `tls_ca`, `tls_cert` and `tls_key` of a section."""

from __future__ import annotations

from ....core import plan
from ..problems import Place, Problems, Wrong
from ..schema import urls
from ..schema.cleanup import CleanupEntry
from ..schema.sections import DockerEntry
from ..surroundings import Surroundings


def resolve(
    entry: DockerEntry | CleanupEntry, place: Place, surroundings: Surroundings, problems: Problems
) -> plan.Engine | None:
    """The engine of a section; None where none is given, or what is given is wrong."""
    there, address = (*place, "engine"), entry.engine
    files = {key: file for key in ("tls_ca", "tls_cert", "tls_key") if (file := getattr(entry, key)) is not None}
    if problems.is_spoiled(there):
        return None
    if address == urls.OF_DOCKER:
        try:
            address, of_docker = surroundings.engine()
            address = urls.engine(address)
        except Wrong as wrong:
            problems.error(there, wrong.what, wrong.fix)
            return None
        if not address.startswith("unix:"):
            return plan.Engine(address, **(of_docker | files))
    if address is None or address.startswith("unix:"):
        for key in files:
            problems.error((*place, key), "goes with an engine at tcp://", "Remove it, or give that engine")
        return None if address is None else plan.Engine(address)
    check_pair(entry.tls_cert, entry.tls_key, place, problems)
    if not files:
        problems.warn(there, "tcp:// without tls_ca sends everything in the clear, logins too", "Give tls_ca")
    return plan.Engine(address, **files)


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
            problems.error((*place, name), "is missing", f"Give it too: {other} is of no use without it")
