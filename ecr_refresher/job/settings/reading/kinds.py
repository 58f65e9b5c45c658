"""The kinds of single values: how each is read from its text, described in the JSON Schema, and written again.

In the file every scalar is a text; an editor that checks the file against the schema sees numbers and booleans as
well, so the schema takes those where their text would be taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from ....core import ecr_host
from ....core.times import written
from ..resolving import urls
from . import values

ANY_SCALAR = ["string", "number", "boolean"]
Write = Callable[[Any, SerializationInfo], object]


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of value. `schema` is what its author may write; `write` gives a text that `read` takes."""

    read: Callable[[object], Any]
    schema: Mapping[str, Any]
    write: Write | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        written = None
        if self.write is not None:
            written = core_schema.plain_serializer_function_ser_schema(self.write, info_arg=True, when_used="json")
        return core_schema.no_info_before_validator_function(self.read, handler(source), serialization=written)

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.schema)


def matching(title: str, pattern: str, what: str, *examples: str) -> Kind:
    """A text that matches as a whole; `what` says what is wrong otherwise, and how to mend it."""
    schema: dict[str, Any] = {"title": title, "type": ANY_SCALAR, "pattern": f"^(?:{pattern})$"}
    return Kind(values.matching(pattern, what), schema | ({"examples": list(examples)} if examples else {}))


def one_of(*words: str) -> Kind:
    schema = {"title": "word", "anyOf": [{"enum": list(words)}, {"type": "string", "pattern": _any_case(*words)}]}
    return Kind(values.one_of(*words), schema)


def duration(least_s: float, most_s: float = values.DURATION_MAX_S) -> Kind:
    """A duration within these bounds; the schema holds plain numbers to them, not texts."""
    schema = {
        "title": "duration",
        "type": ["string", "number"],
        "pattern": values.DURATION_PATTERN,
        "minimum": least_s,
        "maximum": most_s,
        "examples": ["90s", "5m", "1h30m"],
    }
    return Kind(values.duration(least_s, most_s), schema, lambda value, _: written(value))


def url(read: Callable[[object], str], *examples: str, schemes: str = "https?") -> Kind:
    return Kind(
        read, {"title": "URL", "type": "string", "pattern": f"^{schemes}://[^\\s@?#]+$", "examples": list(examples)}
    )


def _any_case(*words: str) -> str:
    spelled = ("".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in w) for w in words)
    return f"^(?:{'|'.join(spelled)})$"


def _absolute(value: str, info: ValidationInfo) -> str:
    """The path from the root on, with `~` and variables expanded; as it is where there is no environment."""
    return value if info.context is None else str(info.context.expanded(value))


def _config_json(value: str, info: ValidationInfo) -> str:
    """A directory means the `config.json` in it. The disk is not asked: a file has an ending such as `.json`."""
    path = _absolute(value, info)
    named = os.path.basename(value.rstrip("/"))
    is_directory = value.endswith("/") or not os.path.splitext(named)[1]
    return os.path.join(path, "config.json") if is_directory else path


_PATH = {"title": "path", "type": ANY_SCALAR, "minLength": 1}
_HOST = "|".join((ecr_host.PATTERN, *(host.replace(".", r"\.") for host in ecr_host.PUBLIC_HOSTS)))
HOST_SCHEMA = {"title": "host", "type": "string", "pattern": f"^(?:{_HOST})$", "examples": [ecr_host.HOST_EXAMPLE]}
_ANY_HOST = {**HOST_SCHEMA, "pattern": values.HOST_NAME_PATTERN}
HOSTS_SCHEMA = {
    "title": "hosts, comma-separated",
    "type": "string",
    "pattern": rf"^[\s,]*(?:{_HOST})(?:[\s]*,[\s,]*(?:{_HOST}))*[\s,]*$",
    "examples": [ecr_host.HOST_EXAMPLE],
}
NAMES_SCHEMA = {"title": "names, comma-separated", "type": ANY_SCALAR}
NULL_SCHEMA = {"type": "null"}
TEXT_SCHEMA = {"title": "text", "type": ANY_SCALAR, "pattern": r"\S"}

Text = Annotated[str, Kind(values.text, TEXT_SCHEMA)]
Host = Annotated[str, Kind(values.text, _ANY_HOST)]
Path = Annotated[str, Kind(values.path, _PATH), AfterValidator(_absolute)]
ConfigFile = Annotated[str, Kind(values.path, _PATH), AfterValidator(_config_json)]
SecretPath = Annotated[
    str,
    Kind(
        values.secret_path,
        {**_PATH, "type": "string", "pattern": values.EXPLICIT_PATH_PATTERN, "examples": ["/run/secrets/NAME"]},
    ),
    AfterValidator(_absolute),
]
Bool = Annotated[
    bool,
    Kind(
        values.boolean,
        {
            "title": "true or false",
            "anyOf": [{"type": "boolean"}, {"type": "string", "pattern": _any_case(*values.TRUE, *values.FALSE)}],
        },
    ),
]
Number = Annotated[
    float,
    Kind(
        values.number,
        {
            "title": "number",
            "type": ["number", "string"],
            "pattern": r"^\s*[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?\s*$",
        },
    ),
]
Name = Annotated[
    str, matching("name", r"[\w.-]{1,200}", "is no name; write letters, digits, '_', '.' and '-', at most 200")
]
Variable = Annotated[
    str,
    matching(
        "name of a variable",
        r"[A-Za-z_][A-Za-z0-9_]*",
        "is no variable's name; write the name of the environment variable that holds the secret",
    ),
]
Region = Annotated[
    str,
    Kind(
        values.region,
        {"title": "AWS region", "type": "string", "pattern": f"^{values.REGION_PATTERN}$", "examples": ["us-east-1"]},
    ),
]
RoleArn = Annotated[
    str,
    matching(
        "ARN of a role",
        r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}",
        "is no ARN of an IAM role; write it as arn:aws:iam::123456789012:role/NAME",
        "arn:aws:iam::123456789012:role/NAME",
    ),
]
ExternalId = Annotated[
    str,
    matching(
        "external id",
        r"[A-Za-z0-9_+=,.@:/-]{2,1224}",
        "is no external id; it has 2 to 1224 letters, digits and '_+=,.@:/-'",
    ),
]
SessionName = Annotated[
    str,
    matching(
        "session name",
        r"[A-Za-z0-9_+=,.@-]{2,64}",
        "is no session name; it has 2 to 64 letters, digits and '_+=,.@-'",
    ),
]
Account = Annotated[
    str,
    matching("account", r"[0-9]{12}", "is no AWS account; write its 12 digits", "123456789012"),
]
ObjectName = Annotated[
    str,
    matching(
        "name",
        r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?",
        "is no name that Kubernetes allows; write small letters, digits, '-' and '.', at most 253",
    ),
]
NamespaceName = Annotated[
    str,
    matching(
        "namespace",
        r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
        "is no namespace's name; write small letters, digits and '-', at most 63",
    ),
]
Selector = Annotated[
    str,
    matching(
        "label selector",
        r"[A-Za-z0-9][A-Za-z0-9_./=!,() -]{0,500}",
        "is no label selector; write e.g. team=data, or team in (data, web)",
        "team=data",
    ),
]
Separator = Annotated[
    str,
    matching("separator", r"[/_+=.@-]{1,10}", "is no separator; write sep of Airflow's backend, e.g. /", "/"),
]
Environment = Annotated[
    str,
    matching(
        "MWAA environment",
        r"[a-zA-Z][0-9a-zA-Z_-]{0,79}",
        "is no MWAA environment's name; write it as the MWAA console shows it",
    ),
]
Prefix = Annotated[
    str,
    matching(
        "prefix",
        r"[A-Za-z0-9/_+=.@-]{0,256}",
        "is no prefix of secrets; write it as connections_prefix of Airflow's backend, e.g. airflow/connections",
    ),
]
Owner = Annotated[
    str,
    matching(
        "owner",
        r"[A-Za-z0-9_.-]+\$?(:[A-Za-z0-9_.-]+)?",
        'is no owner; write "uid:gid", a uid or a user name, e.g. "50000:0"',
        "50000:0",
    ),
]
Mode = Annotated[
    int,
    Kind(
        values.octal_mode,
        # Unquoted, 0600 is a number to an editor: 600 or, to older ones, 384.
        {
            "title": "octal mode",
            "type": ["string", "integer"],
            "pattern": r"^(?:0o?)?[0-7]{1,3}$",
            "minimum": 0,
            "maximum": 777,
            "examples": ["0600", "0640"],
        },
        lambda value, _: f"{value:04o}",
    ),
]
Image = Annotated[
    str,
    Kind(
        values.image,
        {
            "title": "image",
            "type": "string",
            "pattern": f"^{values.IMAGE_PATTERN}$",
            "examples": ["web_scraper:latest"],
        },
    ),
]
Listen = Annotated[
    values.Address,
    Kind(
        values.listen_address,
        {
            "title": "host:port",
            "type": "string",
            "pattern": r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{0,253}):\d{1,5}$",
            "examples": ["127.0.0.1:9719", "[::1]:9719", ":9719"],
        },
        lambda value, _: str(value),
    ),
]
Label = Annotated[
    str, matching("label", values.LABEL_PATTERN, "is no label; write key, or key=value", "keep", "team=data")
]
ImagePattern = Annotated[
    str,
    matching(
        "pattern of image names",
        r"[A-Za-z0-9_./:*?\[\]!@-]{1,300}",
        "is no pattern of image names; write e.g. '*/base:*', with * for anything",
        "*/base:*",
    ),
]
Share = Annotated[
    float,
    Kind(
        values.percent,
        {"title": "share", "type": "string", "pattern": f"^{values.PERCENT_PATTERN}$", "examples": ["80%"]},
        lambda value, _: f"{100 * value:g}%",
    ),
]
Size = Annotated[
    int,
    Kind(
        values.size,
        {"title": "size", "type": "string", "pattern": f"^{values.SIZE_PATTERN}$", "examples": ["50GB", "50GiB"]},
        lambda value, _: values.written_size(value),
    ),
]
AirflowUrl = Annotated[str, url(urls.airflow_url, "https://airflow.example.com")]
SecureUrl = Annotated[str, url(urls.secure_url, "https://127.0.0.1:8443")]
EngineUrl = Annotated[
    str,
    Kind(
        urls.engine_url,
        {
            "title": "URL, or true",
            "anyOf": [
                {"const": True},
                {
                    "type": "string",
                    "pattern": r"^(?:(?:unix|tcp)://[^\s@?#]+|[Tt]rue|TRUE|[Yy]es|YES|[Oo]n|ON)$",
                    "examples": ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2376"],
                },
            ],
        },
    ),
]
