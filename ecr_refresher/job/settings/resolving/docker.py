"""`config.json` files of the plan: where they are, whose they are, what goes into each, which engine proves it."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Sequence

from ....core import plan
from ..problems import Place, Problems, quoted
from ..schema import DockerEntry, KubernetesEntry
from . import engine
from .paths import Paths
from .registries import Registries

_ID_MAX = 2**32 - 2  # the highest number is the kernel's 'leave as it is'


def resolve(
    entries: Sequence[DockerEntry], registries: Registries, paths: Paths, problems: Problems, euid: int
) -> tuple[plan.DockerConfig, ...]:
    """Make the plan's files; what is wrong with them goes to `problems`."""
    found = []
    seen: dict[str, Place] = {}
    for index, entry in enumerate(entries):
        place: Place = ("docker", index)
        file = _config_file(entry, place, paths, problems)
        there = (*place, "config_file")
        first = seen.setdefault(file, there)
        if file and first is not there and not problems.is_spoiled(first):
            problems.error(there, f"{problems.show(first)} is this very file; put their registries together")
        uid, gid = _owner(entry, (*place, "owner"), problems, euid)
        proof = engine.resolve(entry, place, paths, problems)
        spoiled = problems.is_spoiled((*place, "engine"))
        if entry.engine_required and not spoiled and not (proof and proof.url.startswith("unix:")):
            where = (*place, "engine_required")
            problems.error(where, "needs an engine whose socket can be looked for; give engine: unix:///…")
        if entry.mode is not None and entry.mode & 0o044:
            problems.warn((*place, "mode"), f'"{entry.mode:04o}" lets others read the login; "0600" keeps it private')
        found.append(
            plan.DockerConfig(
                config_file=file,
                registries=names_in(entry, place, registries, problems),
                mode=entry.mode,
                uid=uid,
                gid=gid,
                engine=proof,
                required=entry.required,
                engine_required=entry.engine_required,
            )
        )
    return tuple(found)


def _config_file(entry: DockerEntry, place: Place, paths: Paths, problems: Problems) -> str:
    """The file's absolute path."""
    file = entry.config_file or paths.docker_config()
    if file is None:
        problems.error((*place, "config_file"), "is missing, and this user has no home directory; give the path")
    return file or ""


def names_in(
    entry: DockerEntry | KubernetesEntry, place: Place, registries: Registries, problems: Problems
) -> tuple[str, ...]:
    """Names of the registries whose logins go into a file or secret, which has one entry for each host."""
    place = (*place, "registries")
    if entry.registries is None:
        names = [registry.name for registry in registries.every]
    else:
        found = [registries.find(name, (*place, index)) for index, name in enumerate(entry.registries)]
        names = [name for name in found if name is not None]
        if not entry.registries:
            problems.error(place, "is empty; name those wanted, or remove this for all of them")
    hosts: dict[str, str] = {}
    for name in names:
        host = registries.host(name)
        if not host:
            continue  # the caller's own, not known yet
        if host in hosts:
            both = " and ".join(quoted(each) for each in (hosts[host], name))
            problems.error(place, f"{both} would share the one entry for {quoted(host)}; name one of them")
        hosts[host] = name
    return tuple(names)


def _owner(entry: DockerEntry, place: Place, problems: Problems, euid: int) -> tuple[int | None, int | None]:
    """Numbers of user and group; a user without a group brings their own, where the system knows it."""
    if entry.owner is None:
        return None, None
    if euid != 0:
        problems.error(place, "only root can give a file away; remove it, or run as root")
        return None, None
    user, _, group = entry.owner.partition(":")
    try:
        known = pwd.getpwuid(_number(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        known = None
    uid = _number(user) if user.isdigit() else (known.pw_uid if known else None)
    gid = known.pw_gid if known else None
    if group:
        gid = _group(group)
    if uid is None or (group and gid is None):
        problems.error(place, 'is no user and group of this system; write them as numbers, e.g. "50000:0"')
    elif uid > _ID_MAX or (gid or 0) > _ID_MAX:
        problems.error(place, 'has a number that is no uid or gid; write it e.g. as "50000:0"')
    return uid, gid


def _number(digits: str) -> int:
    return int(digits) if len(digits) <= 10 else _ID_MAX + 1


def _group(group: str) -> int | None:
    if group.isdigit():
        return _number(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None
