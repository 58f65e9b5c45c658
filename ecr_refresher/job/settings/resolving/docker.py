"""`config.json` files of the plan: where they are, whose they are, what goes into each; and container engines."""

import contextlib
import grp
import pwd
from collections.abc import Callable, Sequence

from ....core import plan
from ..problems import Spot, Wrong
from ..schema import urls
from ..schema.sections import CleanupEntry, DockerEntry
from ..surroundings import Surroundings
from .registries import Registries

_ID_MAX = 2**32 - 2  # the highest number means 'leave as it is' to the kernel


def resolve(
    entries: Sequence[DockerEntry], at: Spot, registries: Registries, surroundings: Surroundings, euid: int
) -> tuple[plan.DockerConfig, ...]:
    """Make the plan's files, and note what is wrong. Reads no file."""
    found = []
    seen: dict[str, Spot] = {}
    for index, entry in enumerate(entries):
        here = at / index
        there = here / "config_file"
        file = entry.config_file or surroundings.docker_config() or ""
        first = seen.setdefault(file, there)
        if not file:
            there.error("is missing, and this user has no home directory", "Give the path")
        elif first is not there and not first.is_spoiled():
            there.error(f"{first} is this very file", "Put their registries together")
        uid, gid = _owner(entry, here / "owner", euid)
        proof = engine(entry, here, surroundings)
        socket = proof is not None and proof.url.startswith("unix:")
        if entry.engine_required and not socket and not here.is_spoiled("engine"):
            (here / "engine_required").error("needs an engine whose socket can be looked for", "Give engine: unix:///…")
        if entry.mode is not None and entry.mode & 0o044:
            (here / "mode").warn(f'"{entry.mode:04o}" lets others read the login', 'Write "0600" to keep it private')
        logins = registries.one_for_each_host(entry.registries, here / "registries")
        more = entry.model_dump(include={"mode", "required", "engine_required"})
        found.append(plan.DockerConfig(file, logins, uid=uid, gid=gid, engine=proof, **more))
    return tuple(found)


def engine(entry: DockerEntry | CleanupEntry, at: Spot, surroundings: Surroundings) -> plan.Engine | None:
    """The engine of a section and the files of its TLS; None if it is missing or wrong."""
    here, address = at / "engine", entry.engine
    files = entry.model_dump(include={"tls_ca", "tls_cert", "tls_key"}, exclude_none=True)
    if here.is_spoiled():
        return None
    if address == urls.OF_DOCKER:
        try:
            address, of_docker = surroundings.engine()
            address = urls.engine(address)
        except Wrong as wrong:
            here.error(wrong.what, wrong.fix)
            return None
        if not address.startswith("unix:"):
            return plan.Engine(address, **(of_docker | files))
    if address is None or address.startswith("unix:"):
        for key in files:
            (at / key).error("applies only to an engine at tcp://", "Remove it, or set engine to a tcp:// address")
        return None if address is None else plan.Engine(address)
    at.check_pair(entry, "tls_cert", "tls_key")
    if not files:
        here.warn("tcp:// without tls_ca sends everything in the clear, logins too", "Set tls_ca")
    return plan.Engine(address, **files)


def _owner(entry: DockerEntry, at: Spot, euid: int) -> tuple[int | None, int | None]:
    """Numbers of user and group. A user without a group brings their own, where the system knows it."""
    if entry.owner is None:
        return None, None
    if euid != 0:
        at.error("is for root only, who can give files away", "Remove it, or run as root")
        return None, None
    user, _, group = entry.owner.partition(":")
    uid = _id(user, lambda name: pwd.getpwnam(name).pw_uid)
    gid = _id(group, lambda name: grp.getgrnam(name).gr_gid) if group else None
    if uid is None or (group and gid is None):
        at.error("is not a user and group of this system", 'Write them as numbers, e.g. "50000:0"')
    elif not group:
        with contextlib.suppress(KeyError):
            gid = pwd.getpwuid(uid).pw_gid
    return uid, gid


def _id(text: str, by_name: Callable[[str], int]) -> int | None:
    """The number of a user or group; None where the system knows no such name or number."""
    if text.isdigit():
        return int(text) if len(text) <= 10 and int(text) <= _ID_MAX else None
    try:
        return by_name(text)
    except KeyError:
        return None
