"""The sink `config.json`: what the docker command, docker-py, Podman and the like log in with."""

import contextlib
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .... import logs
from ....core import budgets, plan
from ....core.model import Credential, Failed, Holding, Outcome, Reason
from ...files.examination import Examination
from ..batches import Batches
from . import acts, child, messages
from .helper import ECR_LOGIN

ECR_LOGIN_LIFE_S = 12 * 3600.0


class Delivery(NamedTuple):
    """An outcome. `witness` is None if somebody else wrote since the last look: the file needs another look."""

    outcome: Outcome
    witness: str | None


class DockerConfigSink:
    """One `config.json`. Its slots may be looked at and delivered from several threads, and by several processes."""

    def __init__(self, docker: plan.DockerConfig, *, environ: Mapping[str, str]) -> None:
        path = os.path.abspath(docker.config_file)
        self._file = messages.ConfigFile(path, max(1, len(docker.registries)), docker.mode, docker.uid, docker.gid)
        self._engine = docker.engine.url if docker.engine and docker.engine_required else None
        self._environ = environ
        self._user = child.other_user(docker.uid, docker.gid)
        self._children = threading.BoundedSemaphore(budgets.CHILDREN)
        self._looks = Batches(self._look_at)
        self._writes = Batches(self._write)
        self._seen: dict[str, str] = {}  # by host: the file's witness when its entry was last known
        self._seen_lock = threading.Lock()

    def look(self, host: str, now: float) -> Holding:
        """Say what the file, or the helper that it names, holds for the host, and until when if the login is ours.

        Nothing is written or created, so this works on a read-only disk. `now` is on AWS's clock. Raises Failed.
        """
        if self._engine is not None and not _is_socket(self._engine.removeprefix("unix://")):
            what = f"there is no Docker engine at {self._engine}, so nothing is written"
            raise Failed(Reason.MISSING, what, "Start Docker; a node that only runs containerd needs no docker login")
        entry, witness = self._looks.do(host)
        if isinstance(entry, messages.Claimed):
            if entry.helper == ECR_LOGIN:  # it fetches a token whenever it is asked, so it is always as good as new
                return self._looked(host, Holding(now + ECR_LOGIN_LIFE_S, True, ECR_LOGIN_LIFE_S, witness))
            entry = self._ask(acts.LOOK_IN_HELPER, host)
        if isinstance(entry, messages.Refused):
            raise Failed.of(entry.failure)
        # What another user can write speaks for this slot alone: its life says nothing of the principal's tokens.
        own = self._user is None and entry.until is not None
        return self._looked(host, Holding(entry.until, own, entry.life if own else None, witness))

    def deliver(self, host: str, credential: Credential) -> Delivery:
        """Write the credential into the file, or store it in the helper that the file names. Raises Failed."""
        login = host, credential
        result, witness = self._writes.do(login)
        if isinstance(result, messages.Claimed):
            result = self._ask(acts.STORE, login)
            witness = self._follow([host], result)
        if isinstance(result, messages.Refused):
            raise Failed.of(result.failure)
        if result.world_readable and self._file.mode is None:
            fix = f'Run chmod o-r {self._file.path}, or set mode: "0600"'
            logs.get().warning("config_world_readable", error=f"everybody may read {self._file.path}", fix=fix)
        return Delivery(result.outcome, witness)

    # --- what `check` asks; nothing is written --------------------------------------------------------------------
    def examine(self) -> Examination:
        """Examine the file's place for the user that will write it. Raises Failed."""
        return self._ask(acts.EXAMINE, None)

    def inspect(self, host: str) -> messages.Inspection:
        """Say which helper claims the host, and which other entries mean it. Raises Failed."""
        return self._ask(acts.INSPECT, host)

    def readers(self, host: str) -> messages.Reading:
        """Say what each tool finds, run as the file's owner, or as ourselves. Raises Failed."""
        return self._ask(acts.READ, host)

    # --- the file -------------------------------------------------------------------------------------------------
    def _look_at(self, hosts: Sequence[str]) -> list[tuple[messages.Entry, str]]:
        looked = self._ask(acts.LOOK, tuple(hosts))
        return [(entry, looked.witness) for entry in looked.entries]

    def _write(self, logins: Sequence[messages.Login]) -> list[tuple[messages.Result, str | None]]:
        results = self._ask(acts.WRITE, tuple(logins))
        pairs = zip(logins, results, strict=True)
        written = [(host, each) for (host, _), each in pairs if isinstance(each, messages.Written)]
        witness = self._follow([host for host, _ in written], written[0][1]) if written else None
        return [(result, witness) for result in results]

    def _ask(self, act: acts.Act[acts.G, acts.A], given: acts.G) -> acts.A:
        """Have this done here, or by a child. Raises Failed."""
        if self._user is None and not act.runs_helpers:
            return act.do(self._file, given, self._environ)
        with self._children:
            return child.ask(self._file, act, given, self._user, self._environ)

    # --- witnesses ------------------------------------------------------------------------------------------------
    def _looked(self, host: str, holding: Holding) -> Holding:
        with self._seen_lock:
            self._seen[host] = holding.witness or ""
        return holding

    def _follow(self, hosts: Sequence[str], written: messages.Written) -> str | None:
        """Note our write; return its witness only if it followed what every host's entry was last known in."""
        with self._seen_lock:
            known = bool(self._seen) and all(seen == written.base for seen in self._seen.values())
            for host in {*self._seen, *hosts} if known else hosts:
                self._seen[host] = written.witness
        return written.witness if known else None


def _is_socket(path: str) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISSOCK(os.stat(path).st_mode)
    return False
