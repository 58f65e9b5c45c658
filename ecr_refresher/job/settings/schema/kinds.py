"""The kinds of single values: how each is read from its text, what the JSON Schema says of it, how it is written.

In the settings file every scalar is a text, as it is written there. An editor that checks the file against the JSON
Schema sees numbers and booleans, so the schema takes both where people write them.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from .... import logs
from ....core import plan
from ....core.ecr import host as ecr_host
from ....core.times import UNITS, written
from ..problems import Wrong

NUMBER, SINGLE = ("string", "integer"), ("string", "number", "boolean")


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A text that matches a pattern as a whole, and what it is read as."""

    name: str  # with its article
    pattern: str
    fix: str
    read: Callable[[str], Any] = str  # may raise Wrong
    write: Callable[[Any], object] | None = None  # gives a text that `read` takes
    types: Sequence[str] = ()  # JSON's, as an editor sees the text; none: only texts
    more: dict[str, Any] = field(default_factory=dict)  # of the JSON Schema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = self.write and core_schema.plain_serializer_function_ser_schema(self.write, when_used="json")
        return core_schema.no_info_before_validator_function(self.value, handler(source), serialization=written)

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.schema

    @property
    def schema(self) -> dict[str, Any]:
        title, types = self.name.partition(" ")[2], [*self.types] or "string"
        return {"title": title, "type": types, "pattern": f"^(?:{self.pattern})$"} | self.more

    def value(self, given: object) -> object:
        if isinstance(given, dict | list):
            raise Wrong("is a list or a mapping", "Write a single value")
        if not isinstance(given, str):
            return given  # it is read already
        if not re.fullmatch(self.pattern, given, re.ASCII | re.DOTALL):
            raise Wrong(f"is not {self.name}", self.fix)
        return self.read(given)


# --- texts -----------------------------------------------------------------------------------------------------------
def _plain(text: str) -> str:
    if not text.isprintable():
        raise Wrong("has control characters", "Write a plain text")
    return text


def _variable(text: str) -> str:
    if not logs.is_fit_to_show(text):
        raise Wrong("looks like a secret itself", "Write the name of the environment variable that holds it")
    return text


def _profile(text: str) -> str:
    if logs.is_key(text):
        raise Wrong("looks like a key of AWS itself", "Write the name of the profile that holds it")
    return _plain(text)


TEXT_KIND = Kind("a text", r".*\S.*", "Write a plain text", _plain, types=SINGLE)
Text = Annotated[str, TEXT_KIND]
_PROFILE_FIX = "Write the name of a profile in AWS's files"
Profile = Annotated[str, Kind("an AWS profile", r".*\S.*", _PROFILE_FIX, _profile, types=SINGLE)]
_NAME_FIX = "Write letters, digits, '_', '.' and '-', at most 200"
Name = Annotated[str, Kind("a name", r"[\w.-]{1,200}", _NAME_FIX, types=SINGLE)]
_VARIABLE_FIX = "Write the name of the variable that holds the secret"
Variable = Annotated[str, Kind("a variable", "[A-Za-z_][A-Za-z0-9_]*", _VARIABLE_FIX, _variable)]
REGION = "[a-z0-9]+(?:-[a-z0-9]+)+"
Region = Annotated[str, Kind("an AWS region", REGION, "Write one such as us-east-1")]
Account = Annotated[str, Kind("an AWS account", "[0-9]{12}", "Write its 12 digits", types=NUMBER)]
_ROLE = "arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}"
RoleArn = Annotated[str, Kind("an ARN of a role", _ROLE, "Write it as arn:aws:iam::123456789012:role/NAME")]
_ID = "[A-Za-z0-9_+=,.@:/-]{2,1224}"
_ID_FIX = "Write 2 to 1224 letters, digits and '_+=,.@:/-'"
ExternalId = Annotated[str, Kind("an external id", _ID, _ID_FIX, types=NUMBER)]
_SESSION = "[A-Za-z0-9_+=,.@-]{2,64}"
SessionName = Annotated[str, Kind("a session name", _SESSION, "Write 2 to 64 letters, digits and '_+=,.@-'")]
_MWAA = "[a-zA-Z][0-9a-zA-Z_-]{0,79}"
Environment = Annotated[str, Kind("an MWAA environment", _MWAA, "Write its name as the MWAA console shows it")]
Prefix = Annotated[str, Kind("a prefix", "[A-Za-z0-9/_+=.@-]{0,256}", "Write connections_prefix of Airflow's backend")]
Separator = Annotated[str, Kind("a separator", "[/_+=.@-]{1,10}", "Write sep of Airflow's backend, e.g. /")]
_OWNER = r"[A-Za-z0-9_.-]+\$?(:[A-Za-z0-9_.-]+)?"
Owner = Annotated[str, Kind("an owner", _OWNER, 'Write "uid:gid", a uid or a user name, e.g. "50000:0"', types=NUMBER)]
Label = Annotated[str, Kind("a label", r"[^\s=]{1,200}(?:=[^\r\n]{0,200})?", "Write key, or key=value")]
_IMAGES = r"[A-Za-z0-9_./:*?\[\]!@-]{1,300}"
ImagePattern = Annotated[str, Kind("a pattern of image names", _IMAGES, "Write e.g. */base:*, with * for anything")]
_OBJECT = "[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?"
_OBJECT_FIX = "Write small letters, digits, '-' and '.', at most 253"
ObjectName = Annotated[str, Kind("a name that Kubernetes allows", _OBJECT, _OBJECT_FIX)]
_NAMESPACE = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
Namespace = Annotated[str, Kind("a namespace", _NAMESPACE, "Write small letters, digits and '-', at most 63")]
_SELECTOR = "[A-Za-z0-9][A-Za-z0-9_./=!,() -]{0,500}"
Selector = Annotated[str, Kind("a label selector", _SELECTOR, "Write e.g. team=data, or team in (data, web)")]

# --- words -----------------------------------------------------------------------------------------------------------
# What pydantic takes for a bool, in any case.
_BOOL = "[Tt](?:[Rr][Uu][Ee])?|[Ff](?:[Aa][Ll][Ss][Ee])?|[Yy](?:[Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]|[Oo][Ff][Ff]|[01]"
_BOOLS: Any = [{"type": "boolean"}, {"type": "string", "pattern": f"^(?:{_BOOL})$"}, {"enum": [0, 1]}]
Bool = Annotated[bool, WithJsonSchema({"title": "true or false", "anyOf": _BOOLS})]


@dataclass(frozen=True, slots=True)
class AnyCase:
    """One of the words of a Literal, in small or capital letters."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: value.lower() if isinstance(value, str) else value, handler(source)
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(core)
        words = made["enum"] if "enum" in made else [made["const"]]
        spelled = ("".join(f"[{c.upper()}{c}]" if c.isalpha() else c for c in word) for word in words)
        any_case = {"type": "string", "pattern": f"^(?:{'|'.join(spelled)})$"}
        return {"title": "word", "anyOf": [{"enum": words}, any_case]}


Level = Annotated[plan.LogLevel, AnyCase()]
LogFormat = Annotated[plan.LogFormat, AnyCase()]
Which = Annotated[Literal["registries", "all"], AnyCase()]


# --- amounts ---------------------------------------------------------------------------------------------------------
def duration(least_s: float, most_s: float = 366 * 86400.0) -> Kind:
    """A duration in seconds within these bounds: `90s`, `5m`, `1h30m`, `1d`; a plain number is seconds."""

    def read(text: str) -> float:
        read_s = sum(float(amount) * UNITS[unit or "s"] for amount, unit in re.findall(r"([\d.]+)(\D*)", text))
        if not least_s <= read_s <= most_s:
            raise Wrong("is out of range", f"Write a duration from {written(least_s)} to {written(most_s)}")
        return read_s

    pattern = r"\d+(?:\.\d+)?|(?:\d+(?:\.\d+)?(?:d|h|ms|m|s))+"
    bounds = {"minimum": least_s, "maximum": most_s}  # of plain numbers; a schema can't hold texts to bounds
    fix = "Write e.g. 90s, 5m, 1h30m or 1d"
    return Kind("a duration", pattern, fix, read, written, types=("string", "number"), more=bounds)


_SIZES = {"B": 1} | {
    f"{unit}{kind}": base**power for power, unit in enumerate("KMGT", 1) for kind, base in (("B", 1000), ("IB", 1024))
}


def _size(text: str) -> int:
    amount, unit = re.findall(r"([\d.]+)\s?(\D+)", text)[0]
    return int(float(amount) * _SIZES[unit.upper()])


def _written_size(count: int) -> str:
    unit = max((unit for unit in _SIZES if count % _SIZES[unit] == 0 and count), key=_SIZES.__getitem__, default="B")
    return f"{count // _SIZES[unit]}{unit.replace('IB', 'iB').replace('KB', 'kB')}"


# pydantic's own ByteSize takes a bare number for bytes: `max_size: 50` would have a cleanup remove every image.
_SIZE = r"\d{1,15}(?:\.\d+)?\s?(?:[kKMGT]i?B|B)"
Size = Annotated[int, Kind("a size", _SIZE, "Write e.g. 50GB, 500MB or 50GiB", _size, _written_size)]


_SHARE = Kind(
    "a share between 0% and 100%",
    r"(?!0+(?:\.0+)?\s?%)\d{1,2}(?:\.\d+)?\s?%",
    "Write e.g. 80%",
    lambda text: float(text.rstrip("% ")) / 100,
    lambda share: f"{100 * share:g}%",
)
Share = Annotated[float, _SHARE]
_MODE, _MODE_FIX = "(?:0o?)?[0-7]{1,3}", 'Write it in octal, from "0000" to "0777", e.g. "0600"'
# Unquoted, 0600 is 600 to an editor, or 384 to an older one.
_MODES = {"minimum": 0, "maximum": 777}
Mode = Annotated[int, Kind("a file mode", _MODE, _MODE_FIX, partial(int, base=8), "{:04o}".format, NUMBER, _MODES)]


# --- paths, hosts and addresses --------------------------------------------------------------------------------------
def _absolute(path: str, info: ValidationInfo) -> str:
    """The path from the root on, `~` and variables expanded. The disk is not asked: a file may be another user's."""
    return path if info.context is None else str(info.context.expanded(path))


def _config_json(path: str, info: ValidationInfo) -> str:
    """A directory means the `config.json` in it. A file has a suffix, such as `.json`; the disk is not asked."""
    is_directory = path.endswith("/") or not os.path.splitext(os.path.basename(path))[1]
    return os.path.join(_absolute(path, info), "config.json") if is_directory else _absolute(path, info)


_PATH = Kind("a path", r"(?!.*://)[^\0]+", "Write the file's path", types=SINGLE)
Path = Annotated[str, _PATH, AfterValidator(_absolute)]
ConfigFile = Annotated[str, _PATH, AfterValidator(_config_json)]
_EXPLICIT = r"(?!.*://)(?:/|~[\w.-]*/|\.{1,2}/|\$)[^\0]*"
_EXPLICIT_FIX = "Write e.g. /run/secrets/NAME: the secret belongs into that file"
SecretPath = Annotated[str, Kind("a path", _EXPLICIT, _EXPLICIT_FIX), AfterValidator(_absolute)]

_HOSTS = "|".join((ecr_host.PATTERN, *(host.replace(".", r"\.") for host in ecr_host.PUBLIC_HOSTS)))
HOST_SCHEMA = Kind("a host", _HOSTS, "").schema
HOSTS_SCHEMA = Kind("some hosts, comma-separated", rf"[\s,]*(?:{_HOSTS})(?:[\s]*,[\s,]*(?:{_HOSTS}))*[\s,]*", "").schema
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
# Other names get a better error from the grammar of ECR's hosts.
_DOMAIN = {"pattern": rf"^{_LABEL}(?:\.{_LABEL})+$"}
Host = Annotated[str, Kind("a host", r".*\S.*", "Write the registry's host", _plain, more=_DOMAIN)]


class Address(NamedTuple):
    """Where to listen; an empty host means every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_LISTEN = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{0,253}):\d{1,5}"
_LISTEN_FIX = "Write host:port, e.g. 127.0.0.1:9719, [::1]:9719, or :9719 for every interface"


def _listen(text: str) -> Address:
    try:
        parts = urlsplit(f"//{text}")
        return Address(parts.hostname or "", parts.port or 0)
    except ValueError:
        raise Wrong("is not an address with a port", _LISTEN_FIX) from None


Listen = Annotated[Address, Kind("an address with a port", _LISTEN, _LISTEN_FIX, _listen, str)]


def _image(text: str) -> str:
    if re.search(r"\.dkr[.-]ecr|^(public\.ecr\.aws|ecr-public\.aws\.com)/", text):
        raise Wrong("has a registry in front", "Write repository:tag alone")
    return text


_PART = "[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*"
_IMAGE = rf"{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"
_IMAGE_FIX = "Write repository:tag in small letters, e.g. web_scraper:latest"
Image = Annotated[str, Kind("an image", _IMAGE, _IMAGE_FIX, _image)]
