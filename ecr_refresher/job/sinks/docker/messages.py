"""What is asked about one `config.json`, and the answers: plain calls here, JSON to and from a child process."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ....core.model import Credential, Failure, Outcome
from ...files.examination import Examination


class ConfigFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its absolute path, how many logins we keep in it, and whose it must be; None keeps what it has."""

    path: str
    logins: int = 1
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


Login = tuple[str, Credential]  # a host, and what to write for it


class Question(Struct, frozen=True, forbid_unknown_fields=True):
    """What to do with the file.

    `look` and `write` serve hosts that no credential helper claims, many at once. `look in helper` and `store` serve
    one host by its helper. `inspect`, `read` (what do the tools find?) and `examine` are for `check`.
    """

    act: Literal["look", "write", "look in helper", "store", "inspect", "read", "examine"]
    hosts: tuple[str, ...] = ()
    logins: tuple[Login, ...] = ()

    @property
    def may_run_helpers(self) -> bool:
        return self.act in ("look in helper", "store", "read")


# --- answers -------------------------------------------------------------------------------------------------------
class Refused(Struct, frozen=True, forbid_unknown_fields=True, tag="refused"):
    """Why there is no answer, or none for one host."""

    failure: Failure


class Held(Struct, frozen=True, forbid_unknown_fields=True, tag="held"):
    """What is recorded of the login that is held: until when it is valid, and its life. None: no login of ours."""

    until: float | None = None
    life: float | None = None


class Claimed(Struct, frozen=True, forbid_unknown_fields=True, tag="claimed"):
    """The credential helper that claims the host: `docker-credential-HELPER`."""

    helper: str


Entry = Held | Claimed | Refused


class Looked(Struct, frozen=True, forbid_unknown_fields=True, tag="looked"):
    """The file's witness, and an entry for each host."""

    witness: str
    entries: tuple[Entry, ...]


class Written(Struct, frozen=True, forbid_unknown_fields=True, tag="written"):
    """One login's outcome, and the witnesses of the file that was merged from and of the file afterwards."""

    outcome: Outcome
    base: str
    witness: str
    world_readable: bool = False


Result = Written | Claimed | Refused


class WrittenAll(Struct, frozen=True, forbid_unknown_fields=True, tag="written all"):
    """A result for each login."""

    results: tuple[Result, ...]


class Inspection(Struct, frozen=True, forbid_unknown_fields=True, tag="inspection"):
    """The helper that claims a host, whether it is on PATH, and other entries of the host: URLs, and `HOST/path`."""

    helper: str | None
    on_path: bool
    urls: tuple[str, ...]
    paths: tuple[str, ...]


class Found(Struct, frozen=True, forbid_unknown_fields=True):
    """What one tool finds: in which file, under which entry or helper, and whose login that is."""

    tool: str
    file: str
    entry: str
    login: str  # one of the constants in readers.py


class Reading(Struct, frozen=True, forbid_unknown_fields=True, tag="reading"):
    """What each tool finds, and whether DOCKER_AUTH_CONFIG is set, which newer docker commands read first."""

    found: tuple[Found, ...]
    auth_in_environ: bool = False


Answer = Refused | Held | Looked | Written | WrittenAll | Inspection | Reading | Examination
