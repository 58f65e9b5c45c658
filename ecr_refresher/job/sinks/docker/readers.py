"""What the docker command, docker-py and Podman find for a host, in the files that each of them reads.

BuildKit is given logins by the docker command. Run as whoever pulls, in a child: it runs that user's helpers.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ....core.budgets import config_max
from ....core.model import Failed, Secret
from ...files.atomic_file import Folder
from ...files.paths import resolve
from . import record, writing
from .document import Document
from .helper import PREFIX, Helper, refuse_foreign
from .messages import ConfigFile, Found, Reading

OURS, ANOTHER, NONE = "ours", "another", "none"
UNREADABLE = "unreadable"  # the file may not be read
UNUSABLE = "unusable"  # the tool can't use the file
DOCKER, DOCKER_PY, PODMAN = "docker", "docker-py", "Podman"
PATHS_MAX = 5
Login = tuple[str, Secret] | None  # user name and password


def read(file: ConfigFile, host: str, environ: Mapping[str, str]) -> Reading:
    """Look for the login as each tool does; `file` is the one that we keep."""
    search = _Search(file, host, environ, {})
    with suppress(Failed):
        search.records.update(writing.read(file).records)
    path = docker_file(environ) or file.path
    document = search.document(path)
    if isinstance(document, str):
        found = [Found(tool, path, "", document) for tool in (DOCKER, DOCKER_PY)]
    else:  # docker asks the helper that claims the host, else `auths` by the host, else by a URL of it
        found = [search.found(DOCKER, document), search.by_docker_py(document)]
    programs = (shutil.which(name, path=environ.get("PATH", os.defpath)) for name in ("podman", "skopeo"))
    if os.path.basename(file.path) == "auth.json" or any(programs):
        found += search.by_podman()
    return Reading(tuple(found), bool(environ.get("DOCKER_AUTH_CONFIG")))


def docker_file(environ: Mapping[str, str]) -> str | None:
    """The file that docker reads: in `$DOCKER_CONFIG`, else in `~/.docker`; None for a user without a home."""
    folder = environ.get("DOCKER_CONFIG") or (os.path.join(environ["HOME"], ".docker") if environ.get("HOME") else None)
    return None if folder is None else os.path.join(folder, "config.json")


def podman_files(environ: Mapping[str, str], default: str) -> Iterator[str]:
    """The files that Podman and skopeo read, in their order (containers-auth.json(5), and seen with Podman 4.3).

    `default` stands for docker's file where the user has no home.
    """
    if environ.get("REGISTRY_AUTH_FILE"):
        yield environ["REGISTRY_AUTH_FILE"]
        return
    runtime = environ.get("XDG_RUNTIME_DIR")
    yield f"{runtime}/containers/auth.json" if runtime else f"/run/containers/{os.geteuid()}/auth.json"
    home = environ.get("HOME", "")
    settings = environ.get("XDG_CONFIG_HOME") or (home and f"{home}/.config")
    if settings:
        yield f"{settings}/containers/auth.json"
    yield docker_file(environ) or default


@dataclass(frozen=True, slots=True)
class _Search:
    file: ConfigFile
    host: str
    environ: Mapping[str, str]
    records: record.Records

    def by_docker_py(self, document: Document) -> Found:
        """Ask docker-py itself: a pull would fail of the same errors."""
        import docker.auth

        try:
            config = docker.auth.load_config(document.path, credstore_env=dict(self.environ))
            helper = config.get_credential_store(self.host)
            if helper:
                refuse_foreign(document, helper)
            entry = PREFIX + helper if helper else self.host
            found = {key.lower(): value for key, value in (config.resolve_authconfig(self.host) or {}).items()}
        except Exception:  # noqa: BLE001 - its errors may quote the file
            return Found(DOCKER_PY, document.path, "", UNUSABLE)
        login = (str(found.get("username") or ""), Secret(str(found["password"]))) if found.get("password") else None
        return Found(DOCKER_PY, document.path, entry, self._whose(login))

    def by_podman(self) -> Iterator[Found]:
        """The first file that has the host; entries for a part of the host are preferred for images below it."""
        path = self.file.path
        for path in podman_files(self.environ, self.file.path):
            document = self.document(path)
            if isinstance(document, str):
                if document == UNREADABLE:
                    yield Found(PODMAN, path, "", document)
                    return
                continue
            for part in document.paths(self.host)[:PATHS_MAX]:
                yield Found(PODMAN, path, part, self._whose(_login(document, part)))
            found = self.found(PODMAN, document)
            if found.login != NONE:
                yield found
                return
        yield Found(PODMAN, path, "", NONE)

    def found(self, tool: str, document: Document) -> Found:
        try:
            name = document.helper_for(self.host, by_podman=tool == PODMAN)
            if name is not None:
                kept = Helper(name, document, self.environ).get(self.host)
                return Found(tool, document.path, PREFIX + name, self._whose(kept))
        except Failed:
            return Found(tool, document.path, "", UNUSABLE)
        for entry in (self.host,) if document.names(self.host) else document.urls(self.host):
            login = _login(document, entry)
            if login is not None:
                return Found(tool, document.path, entry, self._whose(login))
        return Found(tool, document.path, "", NONE)

    def _whose(self, login: Login) -> str:
        if login is None:
            return NONE
        return ANOTHER if record.match(self.records, self.host, writing.auth_of(*login)) is None else OURS

    def document(self, path: str) -> Document | str:
        """The file's content, or why there is none."""
        if os.path.exists(path) and not os.access(path, os.R_OK, effective_ids=True):
            return UNREADABLE
        try:
            place = resolve(path)
            if not os.path.isdir(place.folder):
                return NONE
            with Folder(place.folder) as folder:
                found = folder.read(place.name, config_max(self.file.logins))
            return NONE if found.content is None else Document.parse(path, found.content, found.uid)
        except Failed:
            return UNUSABLE


def _login(document: Document, entry: str) -> Login:
    """The login of an entry; None if it has none, or an invalid one."""
    with suppress(Failed):
        return writing.login_in(document.auth(entry) or "")
    return None
