"""How single values are written: durations, octal modes, addresses, names. Each reader raises ValueError with
what is wrong and how to mend it, without the value: it may be a secret in the wrong place.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from typing import NamedTuple

from ....core.times import UNITS, written

DURATION_MAX_S = 366 * 86400.0

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:d|h|ms|m|s))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|s)", re.ASCII)
PERCENT_PATTERN = r"(?!0+(?:\.0+)?\s?%)(\d{1,2}(?:\.\d+)?)\s?%"  # more than nothing, less than all
SIZE_PATTERN = r"(\d{1,15}(?:\.\d+)?)\s?([kKMGT]i?B|B)"
LABEL_PATTERN = r"[^\s=]{1,200}(?:=.{0,200})?"
_SIZES = {"B": 1} | {
    f"{unit}{kind}": base**power for power, unit in enumerate("KMGT", 1) for kind, base in (("B", 1000), ("IB", 1024))
}
_HOST = re.compile(r"[A-Za-z0-9._-]{0,253}")
_PATH_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"

# What the readers below take, for those who describe it.
TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")
DURATION_PATTERN = rf"^(?:\d+(?:\.\d+)?|{_DURATION.pattern})$"
IMAGE_PATTERN = rf"{_PATH_PART}(?:/{_PATH_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
REGION_PATTERN = r"[a-z0-9]+(?:-[a-z0-9]+)+"
EXPLICIT_PATH_PATTERN = r"^(?:/|~[\w.-]*/|\.{1,2}/|\$)"
HOST_NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+$"


class Address(NamedTuple):
    """Where to listen; an empty host means every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def one_of(*words: str) -> Callable[[object], str]:
    """A reader of one of these words, in whatever case."""

    def read(value: object) -> str:
        word = single(value).lower()
        if word not in words:
            raise ValueError(f"is none of {', '.join(words)}; write one of them")
        return word

    return read


def matching(pattern: str, what: str) -> Callable[[object], str]:
    """A reader of a text that matches as a whole; `what` says what is wrong otherwise, and how to mend it."""
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        text = single(value)
        if not compiled.fullmatch(text):
            raise ValueError(what)
        return text

    return read


def region(value: object) -> str:
    text = single(value)
    if not is_region(text):
        raise ValueError("is no AWS region; write one such as us-east-1")
    return text


def is_region(text: str) -> bool:
    return re.fullmatch(REGION_PATTERN, text) is not None


def boolean(value: object) -> bool:
    word = single(value).lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("is neither true nor false; write one of them")


def number(value: object) -> float:
    try:
        read = float(single(value))
    except ValueError:
        read = math.nan
    if not math.isfinite(read):
        raise ValueError("is no number; write one such as 0.5")
    return read


def seconds(text: str) -> float:
    """Read a duration: `90s`, `5m`, `1h30m`, `1d`; a plain number is seconds. Raises ValueError."""
    if re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII):
        text += "s"
    if not _DURATION.fullmatch(text):
        raise ValueError("is no duration; write e.g. 90s, 5m, 1h30m or 1d")
    return sum(float(amount) * UNITS[unit] for amount, unit in _DURATION_PART.findall(text))


def duration(least: float, most: float = DURATION_MAX_S) -> Callable[[object], float]:
    """A reader of a duration within these bounds, both in seconds."""

    def read(value: object) -> float:
        read_s = seconds(single(value))
        if not least <= read_s <= most:
            raise ValueError(f"is out of range; write a duration from {written(least)} to {written(most)}")
        return read_s

    return read


def percent(value: object) -> float:
    """Read a share: `80%`; gives it as a fraction."""
    match = re.fullmatch(PERCENT_PATTERN, single(value), re.ASCII)
    if match is None:
        raise ValueError("is no share between 0% and 100%; write e.g. 80%")
    return float(match[1]) / 100


def size(value: object) -> int:
    """Read a size: `50GB` and `500MB` as docker shows them, `50GiB`; gives bytes."""
    match = re.fullmatch(SIZE_PATTERN, single(value), re.ASCII)
    if match is None:
        raise ValueError("is no size; write e.g. 50GB, 500MB or 50GiB")
    factor = _SIZES[match[2].upper()]
    return int(float(match[1]) * factor)


def written_size(count: int) -> str:
    """A size as one writes it, in the largest unit that leaves no fraction."""
    unit = max((unit for unit in _SIZES if count % _SIZES[unit] == 0 and count), key=_SIZES.__getitem__, default="B")
    return f"{count // _SIZES[unit]}{unit.replace('IB', 'iB').replace('KB', 'kB')}"


def no_bare_secret(value: object) -> object:
    """Let a mapping pass; a text in its place may be the secret itself."""
    if isinstance(value, str):
        mend = "write {file: PATH}, or {env: NAME} of a variable"
        raise ValueError(f"no secret stands in the settings; {mend}")  # noqa: TRY004 - pydantic catches this one
    return value


def octal_mode(value: object) -> int:
    """Read a file mode as `chmod` takes it: `0600`, `600`."""
    text = single(value)
    if not re.fullmatch(r"(?:0o?)?[0-7]{1,3}", text):
        raise ValueError('is no file mode; write it in octal, from "0000" to "0777", e.g. "0600"')
    return int(text.removeprefix("0o"), 8)


def listen_address(value: object) -> Address:
    """Read `host:port`, `[::1]:9719`, or `:9719` for every interface."""
    host, colon, port = single(value).rpartition(":")
    mend = "write host:port, e.g. 127.0.0.1:9719, [::1]:9719, or :9719 for every interface"
    if not colon or not re.fullmatch(r"\d{1,5}", port, re.ASCII):
        raise ValueError(f"has no port; {mend}")
    if int(port) > 65535:
        raise ValueError(f"has a port above 65535; {mend}")
    if host.startswith("[") and host.endswith("]"):
        try:
            return Address(str(ipaddress.IPv6Address(host[1:-1])), int(port))
        except ValueError:
            raise ValueError(f"has no IPv6 address in its brackets; {mend}") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"has no host name or address before the port; {mend}")
    return Address(host, int(port))


def image(value: object) -> str:
    """Read `repository[:tag]`, without a registry in front."""
    text = single(value)
    if re.search(r"\.dkr[.-]ecr|^(public\.ecr\.aws|ecr-public\.aws\.com)/", text):
        raise ValueError("has a registry in front; write repository:tag alone")
    if "@" in text:
        raise ValueError("has a digest; write repository:tag")
    if not re.fullmatch(IMAGE_PATTERN, text):
        raise ValueError("is no image; write repository:tag, in small letters, e.g. web_scraper:latest")
    return text


def path(value: object) -> str:
    text = single(value)
    if not text or "\0" in text:
        raise ValueError("is no path; write the file's path")
    return text


def secret_path(value: object) -> str:
    """Read the path of a secret's file. Its directory must be said: a secret put here by mistake looks like a name."""
    text = path(value)
    if not re.match(EXPLICIT_PATH_PATTERN, text):
        raise ValueError("is no path with its directory; write e.g. /run/secrets/NAME (the secret itself goes there)")
    return text


def text(value: object) -> str:
    """Read a text that is not empty."""
    read = single(value)
    if not read.strip() or not read.isprintable():
        raise ValueError("is empty or has control characters; write a plain text")
    return read


def single(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is a list or a mapping; write a single value")  # noqa: TRY004 - pydantic gathers ValueErrors
    return value
