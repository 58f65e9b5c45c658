"""Judges files and the tools that read them. Pure."""

import os
from collections.abc import Iterator

from ..files.errors import mounted
from ..files.examination import Examination
from ..sinks.docker.helper import PREFIX
from ..sinks.docker.messages import Found, Reading
from ..sinks.docker.readers import ANOTHER, DOCKER, DOCKER_PY, NONE, OURS, PODMAN, UNREADABLE, UNUSABLE
from .findings import Finding, failed, of_failure, ok, warning
from .held import DELIVER

_WORDS = {
    OURS: "this login",
    ANOTHER: "another login",
    NONE: "no login",
    UNREADABLE: "a file that it may not read",
    UNUSABLE: "a file that it can't use",
}


def place(seen: Examination, mode: int | None, uid: int | None = None, gid: int | None = None) -> list[Finding]:
    """Judge where a file is to be written. `mode`, `uid` and `gid` are the required ones; None: any."""
    if found := [*_obstacles(seen), *_ownership(seen, mode, uid, gid)]:
        return found
    if seen.mode is None:
        return [ok(f"it does not exist yet, and can be made{'' if seen.folder_is_there else ' with its directories'}")]
    return [ok(f"it can be replaced; mode {seen.mode:04o}, owner {seen.uid}:{seen.gid}")]


def _obstacles(seen: Examination) -> Iterator[Finding]:
    if seen.mounted:
        yield of_failure(mounted(seen.path).failure)
    if seen.read_only:
        yield failed(f"the file system of {seen.folder} is read-only", "Mount it writable")
    elif not seen.writable:
        fix = f"Run chown {seen.by} {seen.folder}, set config_file to another place, or run as the directory's owner"
        yield failed(f"uid {seen.by} may not write in {seen.folder}", fix)
    elif seen.blocked:
        paths = [f"{seen.folder}/{name}" for name in seen.blocked]
        what = f"uid {seen.by} may not write {' and '.join(paths)}, which another user made"
        yield failed(what, f"Run chown {seen.by} {' '.join(paths)}, or remove them")
    if seen.full:
        yield failed(f"the disk of {seen.folder} is full", "Free some space, or inodes")


def _ownership(seen: Examination, mode: int | None, uid: int | None, gid: int | None) -> Iterator[Finding]:
    if seen.mode is None:
        return
    again = "Run `ecr-refresher once --force`, or"
    if mode not in (None, seen.mode):
        others = ", so that others may read the login" if seen.mode & 0o044 & ~mode else ""
        yield warning(f"its mode is {seen.mode:04o}, not {mode:04o}{others}", f"{again} chmod {mode:04o} {seen.path}")
    elif mode is None and seen.mode & 0o004:
        yield warning(f"its mode is {seen.mode:04o}, so everybody may read the login", f"Run chmod o-r {seen.path}")
    wanted = (seen.uid if uid is None else uid, seen.gid if gid is None else gid)
    if wanted != (seen.uid, seen.gid):
        owner = "{}:{}".format(*wanted)
        yield warning(f"it belongs to {seen.uid}:{seen.gid}, not to {owner}", f"{again} chown {owner} {seen.path}")


def old_entry(key: str, config_file: str) -> Finding:
    """Judge another entry of the same host."""
    fix = f"Run docker --config {os.path.dirname(config_file)} logout {key}, then `ecr-refresher once`"
    return warning(f"an old entry '{key}' is beside it, which tools that look by URL use", fix)


def readers(reading: Reading, config_file: str, who: str) -> list[Finding]:
    """Judge whether the tools, run as `who`, find the login that `config_file` holds."""
    ours = {found.tool: found for found in reading.found if found.login == OURS and found.file == config_file}
    found = [_differing(found, ours.get(DOCKER)) or _judged(found, config_file, who) for found in reading.found]
    if reading.auth_in_environ:
        what = "DOCKER_AUTH_CONFIG is set: docker 28.3 and newer read it before any file"
        found.append(warning(what, "Unset it for every user that pulls"))
    return found


def _differing(found: Found, docker: Found | None) -> Finding | None:
    """Judge a docker-py that looks elsewhere in the very file in which the docker command finds the login."""
    if docker is None or found.tool != DOCKER_PY or found.file != docker.file or found.login not in (NONE, ANOTHER):
        return None
    helper_of_docker, helper = (one.entry if one.entry.startswith(PREFIX) else "" for one in (docker, found))
    if helper_of_docker == helper:
        return None
    what = f"docker finds this login as '{docker.entry}' in {found.file}, docker-py finds {_WORDS[found.login]} there"
    if helper:
        fix = "Remove that host from credHelpers, or remove credsStore"
        return warning(f"{what}: it asks {found.entry} where a host's helper has an empty name", fix)
    fix = "Write the keys as credsStore and credHelpers, which docker-py reads in this case alone"
    return warning(f"{what}: it does not ask {docker.entry}", fix)


def _judged(found: Found, config_file: str, who: str) -> Finding:
    what = f"{found.tool} finds {_WORDS[found.login]}" + (f" as '{found.entry}'" if found.entry else "")
    is_podman, host_only = found.tool == PODMAN, "/" not in found.entry.removeprefix("https://")
    if found.login == OURS:
        return ok(f"{what} in {found.file}")
    if is_podman and found.entry and not host_only:
        fix = f"Run podman logout --authfile {found.file} {found.entry}"
        return warning(f"{what} in {found.file}, and uses it for images below that", fix)
    if found.file != config_file:
        variable = f"REGISTRY_AUTH_FILE={config_file}" if is_podman else f"DOCKER_CONFIG={os.path.dirname(config_file)}"
        fix = f"Set {variable} for every user that pulls, or set config_file to {found.file}"
        return warning(f"{what} in {found.file}, which {who}'s {found.tool} reads instead of {config_file}", fix)
    if found.login == UNREADABLE:
        fix = f'Set owner: "uid:gid" as root, run ecr-refresher as {who}, or set mode: "0640" and share the group'
        return failed(f"{who} may not read {config_file}", fix)
    if found.login == UNUSABLE:
        fix = "Remove entries without a login and helpers that are not installed: docker-py reads all of them"
        return warning(f"{found.tool} can't use {config_file}", fix)
    if is_podman:
        return warning(f"{what} in {config_file}", "Remove credsStore from it, which Podman does not read")
    return failed(f"{what} in {config_file}", DELIVER)
