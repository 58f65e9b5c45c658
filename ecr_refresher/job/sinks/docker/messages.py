"""What is asked about one `config.json`, and the answers: plain calls here, JSON to and from a child process."""

from __future__ import annotations

from msgspec import Struct

from ....core.model import Failure, Outcome, Secret
from ...files.examination import Examination


class ConfigFile(Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its absolute path, how many logins we keep in it, and whose it must be; None keeps what it has."""

    path: str
    logins: int = 1
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


class Login(Struct, frozen=True, forbid_unknown_fields=True):
    """A login to write for one host."""

    host: str
    auth: Secret  # base64 of name and password, as `auths` has it
    issued_at: float
    expires_at: float


# --- questions -----------------------------------------------------------------------------------------------------
class Look(Struct, frozen=True, forbid_unknown_fields=True, tag="look"):
    """What does the file hold for these hosts?"""

    hosts: tuple[str, ...]


class LookInHelper(Struct, frozen=True, forbid_unknown_fields=True, tag="look in helper"):
    """What does the helper hold that the file names for this host?"""

    host: str


class Write(Struct, frozen=True, forbid_unknown_fields=True, tag="write"):
    """Write these logins into the file, where no helper claims their hosts."""

    logins: tuple[Login, ...]


class Store(Struct, frozen=True, forbid_unknown_fields=True, tag="store"):
    """Have the helper keep this login that the file names for its host."""

    login: Login


class Inspect(Struct, frozen=True, forbid_unknown_fields=True, tag="inspect"):
    """Which helper claims this host, and which other entries mean it?"""

    host: str


class Read(Struct, frozen=True, forbid_unknown_fields=True, tag="read"):
    """What does each tool find for this host?"""

    host: str


class Examine(Struct, frozen=True, forbid_unknown_fields=True, tag="examine"):
    """Can the file be written?"""


Question = Look | LookInHelper | Write | Store | Inspect | Read | Examine


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


class Looked(Struct, frozen=True, forbid_unknown_fields=True, tag="looked"):
    """The file's witness, and an entry for each host."""

    witness: str
    entries: tuple[Held | Claimed | Refused, ...]


class Written(Struct, frozen=True, forbid_unknown_fields=True, tag="written"):
    """One login's outcome, and the witnesses of the file that was merged from and of the file afterwards."""

    outcome: Outcome
    base: str
    witness: str
    world_readable: bool = False


class WrittenAll(Struct, frozen=True, forbid_unknown_fields=True, tag="written all"):
    """A result for each login."""

    results: tuple[Written | Claimed | Refused, ...]


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
