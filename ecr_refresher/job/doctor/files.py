"""Files and those who read them, judged. Pure."""

from __future__ import annotations

from ..files.examination import Examination
from ..sinks.docker.readers import ANOTHER, NONE, OURS, UNREADABLE, Reading
from . import holding
from .findings import Finding, failed, ok, warning


def place(seen: Examination, mode: int, uid: int | None = None, gid: int | None = None) -> list[Finding]:
    """Judge where a file is to be written; `mode`, `uid` and `gid` are those that it is to have."""
    found = []
    if seen.mounted:
        found.append(
            failed(
                f"{seen.path} is mounted as a single file, which can't be replaced",
                "mount its directory instead of the file",
            )
        )
    if seen.read_only:
        found.append(failed(f"the file system of {seen.folder} is read-only", "mount it writable"))
    elif not seen.writable:
        found.append(
            failed(
                f"uid {seen.by} may not write in {seen.folder}",
                f"chown {seen.by} {seen.folder}, or set config_file to a place of its own, or run as its owner",
            )
        )
    elif seen.blocked:
        names = " and ".join(f"{seen.folder}/{name}" for name in seen.blocked)
        found.append(
            failed(
                f"uid {seen.by} may not write {names}, which another user has left there",
                f"chown {seen.by} {names.replace(' and ', ' ')}, or remove them",
            )
        )
    if seen.full:
        found.append(failed(f"the disk of {seen.folder} is full", "free some space, or inodes"))
    found += _ownership(seen, mode, uid, gid)
    if found:
        return found
    if seen.mode is None:
        where = "" if seen.folder_is_there else " with its directories"
        return [ok(f"it is not there yet, and may be made{where}")]
    return [ok(f"it may be replaced; mode {seen.mode:04o}, owner {seen.uid}:{seen.gid}")]


def _ownership(seen: Examination, mode: int, uid: int | None, gid: int | None) -> list[Finding]:
    if seen.mode is None:
        return []
    found = []
    if seen.mode != mode:
        others = ", so that others may read the login" if seen.mode & 0o044 & ~mode else ""
        found.append(
            warning(
                f"its mode is {seen.mode:04o}, not {mode:04o}{others}",
                f"run `ecr-refresher once --force`, or chmod {mode:04o} {seen.path}",
            )
        )
    if (uid not in (None, seen.uid)) or (gid not in (None, seen.gid)):
        wanted = f"{seen.uid if uid is None else uid}:{seen.gid if gid is None else gid}"
        found.append(
            warning(
                f"it belongs to {seen.uid}:{seen.gid}, not to {wanted}",
                f"run `ecr-refresher once --force`, or chown {wanted} {seen.path}",
            )
        )
    return found


def readers(reading: Reading, config_file: str, who: str) -> Finding:
    """Judge whether docker-py and the docker command, run as `who`, find the login that `config_file` holds."""
    if reading.both_find_it:
        return ok(f"both find it in {reading.file}")
    folder = config_file.rpartition("/")[0]
    if reading.file != config_file:
        return warning(
            f"{who}'s docker reads {reading.file}, and finds {_found(reading)} there",
            f"set DOCKER_CONFIG={folder} for whoever pulls, or let config_file be {reading.file}",
        )
    if UNREADABLE in (reading.docker_py, reading.docker):
        return failed(
            f"{who} may not read {config_file}",
            f'as root set owner: "uid:gid", or run ecr-refresher as {who}, or set mode: "0640" and share the group',
        )
    return failed(f"{_found(reading)} is found in {config_file}", holding.DELIVER)


def _found(reading: Reading) -> str:
    words = {OURS: "this login", ANOTHER: "another login", NONE: "no login", UNREADABLE: "a file that it may not read"}
    if reading.docker_py == reading.docker:
        return words[reading.docker]
    return f"{words[reading.docker]} (docker-py: {words[reading.docker_py]})"
