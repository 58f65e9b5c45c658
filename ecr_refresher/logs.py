"""The log: structlog's lines on stderr, as JSON or for people, with every secret masked."""

import contextlib
import io
import logging
import os
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, cast

from .core.model import MASK, Failure, Reason, Secret
from .core.printable import printable

# structlog loads rich where it is installed, for tracebacks that nobody prints: 4 MB and 50 ms in each process.
# None stands for a module that can't be imported: docs.python.org/3/reference/import.html#the-module-cache
sys.modules.setdefault("rich", cast(ModuleType, None))
import structlog  # noqa: E402

if not sys.modules["rich"]:
    del sys.modules["rich"]

REPORT_IT = "Report it with this line"
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SHAPES = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"  # a JWT
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}"  # an AWS access key id
    r"|(?<=Basic )\S+|(?<=Bearer )\S+"
    r"|(?<=://)[^/@\s]+(?=@)"  # user:password in a URL
    r"|(?P<run>[A-Za-z0-9+/_=-]{80,})"  # a token in any kind of base64, or a long path
)
_PART_MAX = 20  # a longer part of a path that mixes cases and digits is no name, but random
_AWS_KEY = "[A-Za-z0-9/+]{40}"  # a secret access key
_NAME_MAX = 120  # characters
_NAME_PART_MIN = 12  # a shorter part of a name may mix cases and digits
_SHORTEST = 4  # characters; masking a shorter secret would tear holes into ordinary words
SHORTEST_TOKEN = 16  # of those that servers give: a hostile one would have ordinary words masked

_hidden: set[str] = set()
_hiding = threading.Lock()


def hide(secret: Secret, shortest: int = _SHORTEST) -> Secret:
    """Mask this text in every message of this process from now on, unless it is too short. Returns the secret."""
    text = secret.reveal()
    if len(text) >= shortest:
        with _hiding:
            _hidden.add(text)
    return secret


def redact(text: str) -> str:
    """Mask hidden secrets, and everything that has the shape of a token, a key or a login."""
    with _hiding:
        found = [secret for secret in _hidden if secret in text]
    for secret in sorted(found, key=len, reverse=True):  # a short one may be part of a longer one
        text = text.replace(secret, MASK)
    return _SHAPES.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    run = found["run"] or ""
    random = any(_is_mixed(part) for part in run.split("/") if len(part) > _PART_MAX)
    return run if "/" in run and not random else MASK


def is_fit_to_show(text: str) -> bool:
    """Whether a text is a name, and not a password by mistake: no random mix of small, capital letters and digits."""
    return (
        len(text) <= _NAME_MAX
        and re.fullmatch(r"[\w.:/-]+", text) is not None
        and not any(_is_mixed(part) for part in re.split(r"[./:-]", text) if len(part) >= _NAME_PART_MIN)
        and not is_key(text)
    )


def is_key(text: str) -> bool:
    """Whether a text has the shape of a key of AWS, or of another secret that the log masks."""
    return redact(text) != text or (re.fullmatch(_AWS_KEY, text) is not None and _is_mixed(text))


def _is_mixed(part: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit)
    return all(any(map(is_kind, part)) for is_kind in kinds)


def fault_of(error: BaseException) -> Failure:
    """The failure for an exception that nobody expected. Its values may be secret, so only its place is shown."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else "nowhere"
    return Failure(Reason.INTERNAL, f"a fault of ecr-refresher: {type(error).__name__} at {where}", REPORT_IT)


def configure(level: str = "info", fmt: str = "json") -> None:
    """Set up the log; may be called again when the settings change."""
    logging.disable()  # botocore logs tokens at DEBUG, urllib3 whole URLs
    colours = os.isatty(_Stderr.descriptor) and not os.environ.get("NO_COLOR")
    console = structlog.dev.ConsoleRenderer(
        colors=colours, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _tidy,
            *([structlog.processors.JSONRenderer()] if fmt == "json" else [_escape, console]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )


def get() -> Any:
    """The process's logger."""
    if not structlog.is_configured():
        configure()
    return structlog.get_logger()


def write_to(descriptor: int) -> None:
    """Write log lines to this descriptor from now on, in place of standard error."""
    _Stderr.descriptor = descriptor


def silence_libraries() -> None:
    """Let nothing but the log write to stderr: for processes that load libraries.

    Loggers of libraries stay silent. Their warnings, and exceptions that end a thread, become log lines.
    """
    logging.disable()
    warnings.showwarning = _warned
    threading.excepthook = lambda ended: _ended(ended.exc_value)
    sys.unraisablehook = lambda ended: _ended(ended.exc_value)


def _warned(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    get().debug("library_warned", kind=category.__name__, error=str(message))


def _ended(error: BaseException | None) -> None:
    get().error("thread_ended", **fault_of(error or RuntimeError()).fields)


class Printed(io.TextIOBase):
    """A stand-in for `sys.stdout` that logs what a library prints, a line each."""

    _begun = ""  # a line of which the end has not come yet

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                get().info("library_printed", text=line)
        return len(text)


@contextlib.contextmanager
def lines_above(clear: Callable[[], None]) -> Iterator[None]:
    """Call `clear` before each line: it removes the progress line that is in the way. It is called at the end too."""
    _Stderr.clear = staticmethod(clear)
    try:
        yield
    finally:
        _Stderr.clear = staticmethod(lambda: None)
        clear()


def tell(text: str) -> None:
    """Print a line for people where log lines go."""
    _Stderr().msg(f"ecr-refresher: {printable(redact(text))}")


def tell_settings_errors(errors: Sequence[str]) -> None:
    """Print what is wrong with the settings for people, a line each."""
    for error in errors:
        tell(f"settings: {error}")


class _Stderr:
    """Writes whole lines. A full disk or a closed pipe behind stderr does not end the process."""

    clear: Callable[[], None] = staticmethod(lambda: None)
    descriptor = 2

    def msg(self, line: str) -> None:
        self.clear()
        with contextlib.suppress(OSError):
            os.write(self.descriptor, line.encode(errors="replace") + b"\n")

    debug = info = warning = error = msg


def _tidy(_logger: Any, _method: str, event: Any) -> dict[str, Any]:
    """Put the fields of every line first, drop those that are None, and mask secrets in the others."""
    first = {name: event[name] for name in ("timestamp", "level", "event") if name in event}
    rest = {name: value for name, value in event.items() if name not in first and value is not None}
    return first | {
        name: value if isinstance(value, bool | int | float) else redact(str(value)) for name, value in rest.items()
    }


def _escape(_logger: Any, _method: str, event: Any) -> dict[str, Any]:
    """Escape control characters, which would reach a person's terminal; JSON escapes them itself."""
    return {name: printable(value) if isinstance(value, str) else value for name, value in event.items()}
