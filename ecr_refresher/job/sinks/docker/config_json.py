"""The sink `config.json`: what the docker command, docker-py and all their kin log in with."""

from __future__ import annotations

import base64
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ....core import plan
from ....core.model import Credential, Failed, Holding, Outcome, Reason, Secret
from ...files import examination as file_examination
from ...files.atomic_file import Folder, Ownership, Snapshot
from ...files.examination import Examination
from . import as_owner
from . import login as docker_login
from . import memory as docker_memory
from . import readers as docker_readers
from .document import Document
from .helper import ECR_LOGIN, PREFIX, Helper
from .login import Known, Login, Place, Result, Written
from .readers import Reading
from .together import Together

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

    def __init__(self, docker: plan.DockerConfig, *, environ: Mapping[str, str], threads: int) -> None:
        """`threads` is how many may deliver at the same time."""
        self._path = os.path.abspath(docker.config_file)
        self._engine = docker.engine.url if docker.engine and docker.engine_required else None
        self._owner = Ownership(0o600 if docker.mode is None else docker.mode, docker.uid, docker.gid)
        self._environ = environ
        self._user = as_owner.other_user(docker.uid, docker.gid)
        self._writes = Together(self._write_all, threads)
        self._known: Known | None = None
        self._reading = threading.Lock()
        self._seen: dict[str, str] = {}  # by host: the file's witness when its entry was last known
        self._seen_lock = threading.Lock()

    def look(self, host: str, now: float) -> Holding:
        """Tell what the file, or the helper it names, holds for the host, and until when if it is ours.

        Nothing is written or created, so this works on a read-only disk. `now` is on AWS's clock. Raises Failed.
        """
        if self._engine is not None and not _is_socket(self._engine.removeprefix("unix://")):
            needed = "its node may run containerd only, and then needs no docker login; else start Docker"
            raise Failed(Reason.MISSING, f"there is no Docker engine at {self._engine}, nothing is written; {needed}")
        known = self._read(docker_login.locate(self._path, self._owner.uid))
        witness, name = known.witness, known.document.helper_for(host)
        if name == ECR_LOGIN:
            # It fetches a token whenever it is asked, and keeps them fresh by itself: always as good as new.
            return self._looked(host, Holding(now + ECR_LOGIN_LIFE_S, True, ECR_LOGIN_LIFE_S, witness))
        auth = known.document.auth(host) if name is None else self._kept_by(name, host)
        record = docker_memory.match(known.memory, host, auth)
        if record is None:
            return self._looked(host, Holding(witness=witness))
        return self._looked(host, Holding(record.expires_at, True, record.life, witness))

    def deliver(self, host: str, credential: Credential) -> Delivery:
        """Bring the credential into the file, or to the helper that it names for the host. Raises Failed."""
        auth = _auth_of(credential.username, credential.secret)
        known = self._known  # what was read last will do at first, where no helper is: the write makes sure of that
        for _ in range(CLAIM_TRIES):
            if known is None or known.document.helper_for(host) is not None:
                known = self._read(docker_login.locate(self._path, self._owner.uid))
            name = known.document.helper_for(host)
            if name == ECR_LOGIN:
                same = Written(Outcome.UNCHANGED, known.witness, known.witness)
                return Delivery(Outcome.UNCHANGED, self._follow([host], same))
            stored = name is not None and self._store(name, host, auth, credential)
            login = Login(host, auth, credential.issued_at, credential.expires_at, name)
            delivery = self._write(login)
            if delivery is not None:
                return Delivery(Outcome.WRITTEN, delivery.witness) if stored else delivery
            known = None
        what = f"{self._path}: the credential helper for {host} is changed all the time"
        raise Failed(Reason.TRANSIENT, f"{what}; find out by whom")

    # --- what `check` asks; nothing is written --------------------------------------------------------------------
    def examine(self) -> Examination:
        """Examine the file's place for whoever will write it. Raises Failed."""
        place = self._place()
        ours = (place.lock, place.memory)
        if self._user is None:
            return file_examination.examine(place.path, ours)
        return as_owner.examine(place.path, ours, self._user)

    def claimed_by(self, host: str) -> tuple[str, bool] | None:
        """The credential helper that claims the host, and whether it is on PATH. Raises Failed."""
        name = self._read(self._place()).document.helper_for(host)
        return None if name is None else (PREFIX + name, Helper(name, self._environ).program() is not None)

    def twins(self, host: str) -> tuple[str, ...]:
        """Entries under other names of this host. Raises Failed."""
        return self._read(self._place()).document.twins(host)

    def readers(self, host: str) -> Reading:
        """What docker-py and the docker command find, run as the file's owner, or as ourselves. Raises Failed."""
        if self._user is None:
            return docker_readers.read(self._path, host, self._environ)
        return as_owner.read(self._path, host, self._user)

    def _place(self) -> Place:
        return docker_login.locate(self._path, self._owner.uid)

    def _read(self, place: Place) -> Known:
        """Read the file and what is remembered of it; what is the same as before is not parsed again."""
        if not os.path.exists(place.folder):
            return Known(Snapshot().witness, Document.parse(place.path, None), "", {})
        with self._reading, Folder(place.folder) as folder:
            self._known = known = docker_login.know(folder, place, self._owner.uid, self._known)
            return known

    def _write(self, login: Login) -> Delivery | None:
        """Write one login, together with those that other threads bring meanwhile. Raises Failed."""
        try:
            written, witness = self._writes.do(login, TURN_WAIT_S)
        except TimeoutError:
            what = f"{self._path}: other logins are still being written to it; tried again"
            raise Failed(Reason.TRANSIENT, what) from None
        if isinstance(written, Failed):
            raise written
        return None if written is None else Delivery(written.outcome, witness)

    def _write_all(self, logins: Sequence[Login]) -> list[tuple[Result, str | None]]:
        """Write the logins, and give for each what came of it and the witness that it is known by."""
        if self._user is None:
            results, self._known = docker_login.write(self._path, self._owner, logins, self._known)
        else:
            results = as_owner.write(self._path, self._owner, logins, self._user)
        written = next((result for result in results if isinstance(result, Written)), None)
        if written is None:
            return [(result, None) for result in results]
        witness = self._follow([login.host for login in logins], written)
        return [(result, witness) for result in results]

    # --- what we know of the file ----------------------------------------------------------------------------------
    def _looked(self, host: str, holding: Holding) -> Holding:
        with self._seen_lock:
            self._seen[host] = holding.witness or ""
        return holding

    def _follow(self, hosts: Sequence[str], written: Written) -> str | None:
        """Note our write; give its witness only if it followed what every host's entry was last known in."""
        with self._seen_lock:
            known = bool(self._seen) and all(seen == written.base for seen in self._seen.values())
            for host in {*self._seen, *hosts} if known else hosts:
                self._seen[host] = written.witness
        return written.witness if known else None

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


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _auth_of(username: str, secret: Secret) -> Secret:
    return Secret(base64.b64encode(f"{username}:{secret.reveal()}".encode()).decode())
