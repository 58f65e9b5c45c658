"""The kinds of single values: how each is read from its text, what the JSON Schema says of it, how it is written.

In the settings file every scalar is a text, as it is written there. An editor that checks the file against the JSON
Schema sees numbers and booleans, so the schema takes both where people write them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from ....core import ecr_host
from ....core.times import UNITS, written
from ..problems import Wrong

DURATION_MAX_S = 366 * 86400.0
REGION = "[a-z0-9]+(?:-[a-z0-9]+)+"
_SINGLE = ["string", "number", "boolean"]


@dataclass(frozen=True, slots=True)
class Says:
    """Whatever pydantic finds wrong with the value, this is what people are told."""

    what: str
    fix: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        said: dict[str, Any] = {"what": self.what, "fix": self.fix}
        return core_schema.custom_error_schema(
            handler(source), "said", custom_error_message=self.what, custom_error_context=said
        )


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """A text that matches a pattern as a whole. `name` has its article; `types` are JSON's, as editors see the text."""

    name: str
    pattern: str
    fix: str
    example: str | None = None
    types: Sequence[str] = ("string",)

    def __get_pydantic_core_schema__(self, _source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = Annotated[str, StringConstraints(pattern=f"^(?:{self.pattern})$"), Says(f"is not {self.name}", self.fix)]
        return handler(text)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        types = self.types[0] if len(self.types) == 1 else [*self.types]
        made = handler(core) | {"title": self.name.partition(" ")[2], "type": types}
        return made if self.example is None else made | {"examples": [self.example]}


@dataclass(frozen=True, slots=True, eq=False)
class Parsed:
    """A kind with a way of writing of its own. `read` raises Wrong; `write` gives a text that `read` takes."""

    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    write: Callable[[Any], object] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = self.write and core_schema.plain_serializer_function_ser_schema(self.write, when_used="json")
        return core_schema.no_info_before_validator_function(self._read, handler(source), serialization=written)

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)

    def _read(self, value: object) -> object:
        if isinstance(value, dict | list):
            raise Wrong("is a list or a mapping", "Write a single value")
        return self.read(str(value)) if isinstance(value, str) else value  # a default is read already


# --- texts -----------------------------------------------------------------------------------------------------------
def _plain(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise Wrong("is empty or has control characters", "Write a plain text")
    return text


TEXT_SCHEMA = {"title": "text", "type": _SINGLE, "pattern": r"\S"}
Text = Annotated[str, Parsed(_plain, TEXT_SCHEMA)]
Name = Annotated[
    str, Matching("a name", r"[\w.-]{1,200}", "Write letters, digits, '_', '.' and '-', at most 200", types=_SINGLE)
]
Variable = Annotated[
    str,
    Matching(
        "the name of a variable",
        "[A-Za-z_][A-Za-z0-9_]*",
        "Write the name of the environment variable that holds the secret",
    ),
]
Region = Annotated[str, Matching("an AWS region", REGION, "Write one such as us-east-1", "us-east-1")]
Account = Annotated[
    str, Matching("an AWS account", "[0-9]{12}", "Write its 12 digits", "123456789012", ("string", "integer"))
]
RoleArn = Annotated[
    str,
    Matching(
        "an ARN of a role",
        "arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}",
        "Write it as arn:aws:iam::123456789012:role/NAME",
        "arn:aws:iam::123456789012:role/NAME",
    ),
]
ExternalId = Annotated[
    str,
    Matching(
        "an external id",
        "[A-Za-z0-9_+=,.@:/-]{2,1224}",
        "Write 2 to 1224 letters, digits and '_+=,.@:/-'",
        types=("string", "integer"),
    ),
]
SessionName = Annotated[
    str, Matching("a session name", "[A-Za-z0-9_+=,.@-]{2,64}", "Write 2 to 64 letters, digits and '_+=,.@-'")
]
Environment = Annotated[
    str, Matching("an MWAA environment", "[a-zA-Z][0-9a-zA-Z_-]{0,79}", "Write its name as the MWAA console shows it")
]
Prefix = Annotated[
    str,
    Matching("a prefix", "[A-Za-z0-9/_+=.@-]{0,256}", "Write connections_prefix of Airflow's backend"),
]
Separator = Annotated[str, Matching("a separator", "[/_+=.@-]{1,10}", "Write sep of Airflow's backend, e.g. /")]
Owner = Annotated[
    str,
    Matching(
        "an owner",
        r"[A-Za-z0-9_.-]+\$?(:[A-Za-z0-9_.-]+)?",
        'Write "uid:gid", a uid or a user name, e.g. "50000:0"',
        "50000:0",
        ("string", "integer"),
    ),
]
Label = Annotated[str, Matching("a label", r"[^\s=]{1,200}(?:=.{0,200})?", "Write key, or key=value", "team=data")]
ImagePattern = Annotated[
    str,
    Matching(
        "a pattern of image names", r"[A-Za-z0-9_./:*?\[\]!@-]{1,300}", "Write e.g. */base:*, with * for anything"
    ),
]
ObjectName = Annotated[
    str,
    Matching(
        "a name that Kubernetes allows",
        "[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?",
        "Write small letters, digits, '-' and '.', at most 253",
    ),
]
Namespace = Annotated[
    str,
    Matching("a namespace", "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "Write small letters, digits and '-', at most 63"),
]
Selector = Annotated[
    str,
    Matching(
        "a label selector",
        "[A-Za-z0-9][A-Za-z0-9_./=!,() -]{0,500}",
        "Write e.g. team=data, or team in (data, web)",
        "team=data",
    ),
]

# --- words and numbers -----------------------------------------------------------------------------------------------
# The words that pydantic takes for a bool, in any case.
_BOOL = "[Tt](?:[Rr][Uu][Ee])?|[Ff](?:[Aa][Ll][Ss][Ee])?|[Yy](?:[Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]|[Oo][Ff][Ff]|[01]"
_BOOLS: Any = [{"type": "boolean"}, {"type": "string", "pattern": f"^(?:{_BOOL})$"}, {"enum": [0, 1]}]
Bool = Annotated[
    bool,
    WithJsonSchema({"title": "true or false", "anyOf": _BOOLS}),
    Says("is neither true nor false", "Write one of them"),
]


def _small(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class AnyCase:
    """One of the words of a Literal, in small or capital letters."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        says = Says(f"is none of {', '.join(get_args(source))}", "Write one of them")
        return core_schema.no_info_before_validator_function(_small, says.__get_pydantic_core_schema__(source, handler))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(core)
        words = made["enum"] if "enum" in made else [made["const"]]
        spelled = ("".join(f"[{c.upper()}{c}]" if c.isalpha() else c for c in word) for word in words)
        any_case = {"type": "string", "pattern": f"^(?:{'|'.join(spelled)})$"}
        return {"title": "word", "anyOf": [{"enum": words}, any_case]}


Level = Annotated[Literal["debug", "info", "warning", "error"], AnyCase()]
LogFormat = Annotated[Literal["json", "console"], AnyCase()]
Which = Annotated[Literal["registries", "all"], AnyCase()]


def _seconds(text: str) -> float:
    """A duration: `90s`, `5m`, `1h30m`, `1d`; a plain number is seconds."""
    if re.fullmatch(r"\d+(?:\.\d+)?", text, re.ASCII):
        text += "s"
    if not re.fullmatch(_DURATION, text, re.ASCII):
        raise Wrong("is not a duration", "Write e.g. 90s, 5m, 1h30m or 1d")
    return sum(float(amount) * UNITS[unit] for amount, unit in re.findall(r"([\d.]+)(\D+)", text))


_DURATION = r"(?:\d+(?:\.\d+)?(?:d|h|ms|m|s))+"


def duration(least_s: float, most_s: float = DURATION_MAX_S) -> Parsed:
    """A duration in seconds within these bounds."""

    def read(text: str) -> float:
        if not least_s <= (read_s := _seconds(text)) <= most_s:
            raise Wrong("is out of range", f"Write a duration from {written(least_s)} to {written(most_s)}")
        return read_s

    schema = {
        "title": "duration",
        "type": ["string", "number"],
        "pattern": rf"^(?:\d+(?:\.\d+)?|{_DURATION})$",
        "minimum": least_s,  # of plain numbers; a schema can't hold texts to bounds
        "maximum": most_s,
        "examples": ["90s", "5m", "1h30m"],
    }
    return Parsed(read, schema, written)


def _share(text: str) -> float:
    match = re.fullmatch(_PERCENT, text, re.ASCII)
    if match is None:
        raise Wrong("is not a share between 0% and 100%", "Write e.g. 80%")
    return float(match[1]) / 100


def _size(text: str) -> int:
    """A size in bytes: `50GB` and `500MB` as docker shows them, `50GiB`.

    pydantic's own ByteSize takes a bare number for bytes: `max_size: 50` would have a cleanup remove every image.
    """
    match = re.fullmatch(_SIZE, text, re.ASCII)
    if match is None:
        raise Wrong("is not a size", "Write e.g. 50GB, 500MB or 50GiB")
    return int(float(match[1]) * _SIZES[match[2].upper()])


def _written_size(count: int) -> str:
    unit = max((unit for unit in _SIZES if count % _SIZES[unit] == 0 and count), key=_SIZES.__getitem__, default="B")
    return f"{count // _SIZES[unit]}{unit.replace('IB', 'iB').replace('KB', 'kB')}"


_PERCENT = r"(?!0+(?:\.0+)?\s?%)(\d{1,2}(?:\.\d+)?)\s?%"  # more than nothing, less than all
_SIZE = r"(\d{1,15}(?:\.\d+)?)\s?([kKMGT]i?B|B)"
_SIZES = {"B": 1} | {
    f"{unit}{kind}": base**power for power, unit in enumerate("KMGT", 1) for kind, base in (("B", 1000), ("IB", 1024))
}
Share = Annotated[
    float,
    Parsed(
        _share,
        {"title": "share", "type": "string", "pattern": f"^{_PERCENT}$", "examples": ["80%"]},
        lambda share: f"{100 * share:g}%",
    ),
]
Size = Annotated[
    int,
    Parsed(
        _size,
        {"title": "size", "type": "string", "pattern": f"^{_SIZE}$", "examples": ["50GB", "50GiB"]},
        _written_size,
    ),
]


def _mode(text: str) -> int:
    if not re.fullmatch(r"(?:0o?)?[0-7]{1,3}", text):
        raise Wrong("is not a file mode", 'Write it in octal, from "0000" to "0777", e.g. "0600"')
    return int(text.removeprefix("0o"), 8)


Mode = Annotated[
    int,
    Parsed(
        _mode,
        # Unquoted, 0600 is a number to an editor: 600, or 384 to an older one.
        {
            "title": "octal mode",
            "type": ["string", "integer"],
            "pattern": "^(?:0o?)?[0-7]{1,3}$",
            "minimum": 0,
            "maximum": 777,
            "examples": ["0600", "0640"],
        },
        lambda mode: f"{mode:04o}",
    ),
]


# --- paths, hosts and addresses --------------------------------------------------------------------------------------
def _absolute(path: str, info: ValidationInfo) -> str:
    """The path from the root on, `~` and variables expanded. The disk is not asked: a file may be another user's."""
    if not path or "\0" in path or "://" in path:
        raise Wrong("is not a path", "Write the file's path")
    return path if info.context is None else str(info.context.expanded(path))


def _config_json(path: str, info: ValidationInfo) -> str:
    """A directory means the `config.json` in it. A file has a suffix, such as `.json`; the disk is not asked."""
    is_directory = path.endswith("/") or not os.path.splitext(os.path.basename(path))[1]
    return os.path.join(_absolute(path, info), "config.json") if is_directory else _absolute(path, info)


_EXPLICIT = r"(?:/|~[\w.-]*/|\.{1,2}/|\$)"
_PATH: Any = {"type": _SINGLE}
Path = Annotated[str, Field(title="path", min_length=1, json_schema_extra=_PATH), AfterValidator(_absolute)]
ConfigFile = Annotated[str, Field(title="path", min_length=1, json_schema_extra=_PATH), AfterValidator(_config_json)]
SecretPath = Annotated[
    str,
    Matching("a path", rf"{_EXPLICIT}.*", "Write e.g. /run/secrets/NAME: the secret belongs into that file"),
    AfterValidator(_absolute),
]

_HOST = "|".join((ecr_host.PATTERN, *(host.replace(".", r"\.") for host in ecr_host.PUBLIC_HOSTS)))
HOST_SCHEMA = {"title": "host", "type": "string", "pattern": f"^(?:{_HOST})$", "examples": [ecr_host.HOST_EXAMPLE]}
HOSTS_SCHEMA = {
    "title": "hosts, comma-separated",
    "type": "string",
    "pattern": rf"^[\s,]*(?:{_HOST})(?:[\s]*,[\s,]*(?:{_HOST}))*[\s,]*$",
    "examples": [ecr_host.HOST_EXAMPLE],
}
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
Host = Annotated[str, Parsed(_plain, {**HOST_SCHEMA, "pattern": rf"^{_LABEL}(?:\.{_LABEL})+$"})]


class Address(NamedTuple):
    """Where to listen; an empty host means every interface."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _listen(text: str) -> Address:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        port = None
    if port is None or not re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{0,253}):\d+", text, re.ASCII):
        raise Wrong(
            "is not an address with a port",
            "Write host:port, e.g. 127.0.0.1:9719, [::1]:9719, or :9719 for every interface",
        )
    return Address(host, port)


Listen = Annotated[
    Address,
    Parsed(
        _listen,
        {
            "title": "host:port",
            "type": "string",
            "pattern": r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{0,253}):\d{1,5}$",
            "examples": ["127.0.0.1:9719", "[::1]:9719", ":9719"],
        },
        str,
    ),
]

_PART = "[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*"
_IMAGE = rf"{_PART}(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?"


def _image(text: str) -> str:
    if re.search(r"\.dkr[.-]ecr|^(public\.ecr\.aws|ecr-public\.aws\.com)/", text):
        raise Wrong("has a registry in front", "Write repository:tag alone")
    if not re.fullmatch(_IMAGE, text):
        raise Wrong("is not an image", "Write repository:tag in small letters, e.g. web_scraper:latest")
    return text


Image = Annotated[
    str,
    Parsed(_image, {"title": "image", "type": "string", "pattern": f"^{_IMAGE}$", "examples": ["web_scraper:latest"]}),
]
