"""Where an engine is, and the files of its TLS: `engine`, `tls_ca`, `tls_cert` and `tls_key` of a section."""

from __future__ import annotations

from ....core import plan
from ..problems import Spot, Wrong
from ..schema import urls
from ..schema.section import Section
from ..schema.sections import CleanupEntry, DockerEntry
from ..surroundings import Surroundings


def resolve(entry: DockerEntry | CleanupEntry, at: Spot, surroundings: Surroundings) -> plan.Engine | None:
    """The engine of a section; None where none is given, or what is given is wrong."""
    engine, address = at / "engine", entry.engine
    files = entry.model_dump(include={"tls_ca", "tls_cert", "tls_key"}, exclude_none=True)
    if engine.is_spoiled():
        return None
    if address == urls.OF_DOCKER:
        try:
            address, of_docker = surroundings.engine()
            address = urls.engine(address)
        except Wrong as wrong:
            engine.error(wrong.what, wrong.fix)
            return None
        if not address.startswith("unix:"):
            return plan.Engine(address, **(of_docker | files))
    if address is None or address.startswith("unix:"):
        for key in files:
            (at / key).error("applies only to an engine at tcp://", "Remove it, or set engine to a tcp:// address")
        return None if address is None else plan.Engine(address)
    check_pair(entry, at, "tls_cert", "tls_key")
    if not files:
        engine.warn("tcp:// without tls_ca sends everything in the clear, logins too", "Set tls_ca")
    return plan.Engine(address, **files)


def check_pair(entry: Section, at: Spot, *keys: str) -> None:
    """Note an error where a certificate is given without its key, or the other way round."""
    for missing, given in (keys, reversed(keys)):
        if getattr(entry, missing) is None and getattr(entry, given) is not None:
            (at / missing).error("is missing", f"Set it too: {given} alone has no effect")
