"""What is said about one `config.json`: plain values here, JSON to and from a child process."""

from ....core.model import Credential, Failure, Outcome, Record


class ConfigFile(Record, frozen=True):
    """One file: its absolute path, how many logins we keep in it, and whose it must be; None keeps what it has."""

    path: str
    logins: int = 1
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


Login = tuple[str, Credential]  # a host, and what to write for it


class _Answer(Record, frozen=True, tag=str.lower):
    """An answer of acts.py, or a part of one."""


class Refused(_Answer, frozen=True):
    """Why there is no answer, or none for one host."""

    failure: Failure


class Held(_Answer, frozen=True):
    """What is recorded of the login that is held: until when it is valid, and its life. None: no login of ours."""

    until: float | None = None
    life: float | None = None


class Claimed(_Answer, frozen=True):
    """The credential helper that claims the host: `docker-credential-HELPER`."""

    helper: str


Entry = Held | Claimed | Refused


class Looked(_Answer, frozen=True):
    """The file's witness, and an entry for each host."""

    witness: str
    entries: tuple[Entry, ...]


class Written(_Answer, frozen=True):
    """One login's outcome, and the witnesses of the file that was merged from and of the file afterwards."""

    outcome: Outcome
    base: str
    witness: str
    world_readable: bool = False


Result = Written | Claimed | Refused


class Inspection(_Answer, frozen=True):
    """The helper that claims a host, whether it is on PATH, and other entries of the host: its URLs."""

    helper: str | None
    on_path: bool
    urls: tuple[str, ...]


class Found(Record, frozen=True):
    """What one tool finds: in which file, under which entry or helper, and whose login that is."""

    tool: str
    file: str
    entry: str
    login: str  # one of the constants in readers.py


class Reading(_Answer, frozen=True):
    """What each tool finds, and whether DOCKER_AUTH_CONFIG is set, which newer docker commands read first."""

    found: tuple[Found, ...]
    auth_in_environ: bool = False
