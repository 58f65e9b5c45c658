"""The sink `config.json`: what the docker command, docker-py and all their kin log in with."""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from ...core import plan
from ...core.model import Credential, Failed, Holding, Outcome, Reason, Secret
from . import as_owner, docker_login, docker_memory
from .atomic_file import Folder, Ownership, Snapshot
from .docker_document import Document
from .docker_helper import ECR_LOGIN, Helper
from .docker_login import Login

TURN_WAIT_S = 10.0
CLAIM_TRIES = 3
ECR_LOGIN_LIFE_S = 12 * 3600.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of it. `witness` is None if somebody else wrote since the last look: the file wants another look."""

    outcome: Outcome
    witness: str | None


class DockerConfigSink:
    """One `config.json`. Its slots may be looked at and delivered from several threads, and by several processes."""

    def __init__(self, docker: plan.DockerConfig, *, environ: Mapping[str, str]) -> None:
        self._path = os.path.abspath(docker.config_file)
        self._owner = Ownership(docker.mode, docker.uid, docker.gid)
        self._environ = environ
        self._user = as_owner.other_user(docker.uid, docker.gid)
        self._turn = threading.Lock()  # of the writes from this process, so that each knows which came before it
        self._seen: dict[str, str] = {}  # by host: the file's witness when its entry was last known
        self._seen_lock = threading.Lock()

    def look(self, host: str, now: float) -> Holding:
        """Tell what the file, or the helper it names, holds for the host, and until when if it is ours.

        Nothing is written or created, so this works on a read-only disk. `now` is on AWS's clock. Raises Failed.
        """
        place = docker_login.locate(self._path, self._owner.uid)
        if not os.path.exists(place.folder):
            return self._looked(host, Holding(witness=Snapshot().witness))
        with Folder(place.folder) as folder:
            snapshot, document = docker_login.read(folder, place, self._owner.uid)
            name = document.helper_for(host)
            if name == ECR_LOGIN:
                # It fetches a token whenever it is asked, and keeps them fresh by itself: always as good as new.
                until = now + ECR_LOGIN_LIFE_S
                return self._looked(host, Holding(until, True, ECR_LOGIN_LIFE_S, snapshot.witness))
            auth = document.auth(host) if name is None else self._kept_by(name, host)
            # Memory is read after the file: a login that is in the file was remembered before it was written.
            record = docker_memory.match(docker_memory.recall(folder, place.memory), host, auth)
        if record is None:
            return self._looked(host, Holding(witness=snapshot.witness))
        return self._looked(host, Holding(record.expires_at, True, record.life, snapshot.witness))

    def deliver(self, host: str, credential: Credential) -> Delivery:
        """Bring the credential into the file, or to the helper that it names for the host. Raises Failed."""
        auth = _auth_of(credential.username, credential.secret)
        for _ in range(CLAIM_TRIES):
            snapshot, document = self._read()
            name = document.helper_for(host)
            if name == ECR_LOGIN:
                return Delivery(Outcome.UNCHANGED, self._follow(host, snapshot.witness, snapshot.witness))
            stored = name is not None and self._store(name, host, auth, credential)
            login = Login(self._path, host, auth, credential.issued_at, credential.expires_at, self._owner, name)
            delivery = self._write(login, stored=stored)
            if delivery is not None:
                return delivery
        what = f"{self._path}: the credential helper for {host} is changed all the time"
        raise Failed(Reason.TRANSIENT, f"{what}; find out by whom")

    def _read(self) -> tuple[Snapshot, Document]:
        place = docker_login.locate(self._path, self._owner.uid)
        if not os.path.exists(place.folder):
            return Snapshot(), Document.parse(place.path, None)
        with Folder(place.folder) as folder:
            return docker_login.read(folder, place, self._owner.uid)

    def _write(self, login: Login, *, stored: bool) -> Delivery | None:
        if not self._turn.acquire(timeout=TURN_WAIT_S):
            raise Failed(Reason.TRANSIENT, f"{self._path}: other logins are still being written to it; tried again")
        try:
            written = docker_login.write(login) if self._user is None else as_owner.write(login, self._user)
            if written is None:
                return None
            witness = self._follow(login.host, written.base, written.witness)
        finally:
            self._turn.release()
        return Delivery(Outcome.WRITTEN if stored else written.outcome, witness)

    # --- what we know of the file ----------------------------------------------------------------------------------
    def _looked(self, host: str, holding: Holding) -> Holding:
        with self._seen_lock:
            self._seen[host] = holding.witness or ""
        return holding

    def _follow(self, host: str, base: str, witness: str) -> str | None:
        """Note our write; give its witness only if it followed what every host's entry was last known in."""
        with self._seen_lock:
            known = bool(self._seen) and all(seen == base for seen in self._seen.values())
            for other in self._seen if known else (host,):
                self._seen[other] = witness
            self._seen[host] = witness
        return witness if known else None

    # --- credential helpers ----------------------------------------------------------------------------------------
    def _kept_by(self, name: str, host: str) -> str | None:
        kept = Helper(name, self._environ, self._user).get(host)
        return None if kept is None else _auth_of(*kept).reveal()

    def _store(self, name: str, host: str, auth: Secret, credential: Credential) -> bool:
        """Have the helper keep the login, unless it does; not under the lock: a helper that hangs hinders nobody."""
        if self._kept_by(name, host) == auth.reveal():
            return False
        Helper(name, self._environ, self._user).store(host, credential.username, credential.secret)
        return True


def _auth_of(username: str, secret: Secret) -> Secret:
    return Secret(base64.b64encode(f"{username}:{secret.reveal()}".encode()).decode())
