"""The settings' schema: which keys there are, their types and defaults. Values come as texts, from YAML or environment.

Nothing is required here: what is missing is told by the checks that know why it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ...core import plan
from . import urls, values
from .problems import Place, Problems, did_you_mean
from .yaml_file import Tree

_RULES, _LOG = plan.Refresh(), plan.Log()

Text = Annotated[str, BeforeValidator(values.text)]
Path = Annotated[str, BeforeValidator(values.path)]
SecretPath = Annotated[str, BeforeValidator(values.secret_path)]
Bool = Annotated[bool, BeforeValidator(values.boolean)]
Number = Annotated[float, BeforeValidator(values.number)]
Name = Annotated[
    str,
    BeforeValidator(
        values.matching(r"[\w.-]{1,200}", "is no name; write letters, digits, '_', '.' and '-', at most 200")
    ),
]
Variable = Annotated[
    str,
    BeforeValidator(
        values.matching(
            r"[A-Za-z_][A-Za-z0-9_]*",
            "is no variable's name; write the name of the environment variable that holds the secret",
        )
    ),
]
Region = Annotated[str, BeforeValidator(values.region)]
RoleArn = Annotated[
    str,
    BeforeValidator(
        values.matching(
            r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,512}",
            "is no ARN of an IAM role; write it as arn:aws:iam::123456789012:role/NAME",
        )
    ),
]
ExternalId = Annotated[
    str,
    BeforeValidator(
        values.matching(
            r"[A-Za-z0-9_+=,.@:/-]{2,1224}", "is no external id; it has 2 to 1224 letters, digits and '_+=,.@:/-'"
        )
    ),
]
SessionName = Annotated[
    str,
    BeforeValidator(
        values.matching(r"[A-Za-z0-9_+=,.@-]{2,64}", "is no session name; it has 2 to 64 letters, digits and '_+=,.@-'")
    ),
]
Environment = Annotated[
    str,
    BeforeValidator(
        values.matching(
            r"[a-zA-Z][0-9a-zA-Z_-]{0,79}", "is no MWAA environment's name; write it as the MWAA console shows it"
        )
    ),
]
Prefix = Annotated[
    str,
    BeforeValidator(
        values.matching(
            r"[A-Za-z0-9/_+=.@-]{0,256}",
            "is no prefix of secrets; write it as connections_prefix of Airflow's backend, e.g. airflow/connections",
        )
    ),
]
Owner = Annotated[
    str,
    BeforeValidator(
        values.matching(
            r"[A-Za-z0-9_.-]+\$?(:[A-Za-z0-9_.-]+)?",
            'is no owner; write "uid:gid", a uid or a user name, e.g. "50000:0"',
        )
    ),
]


class Section(BaseModel):
    """A mapping of the settings. Keys that are not known are errors; a null means 'not given'."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_not_given(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}


class RegistryEntry(Section):
    host: Text | None = None
    region: Region | None = None
    name: Name | None = None
    role_arn: list[RoleArn] = Field(default_factory=list)
    external_id: list[ExternalId | None] = Field(default_factory=list)
    role_session_name: SessionName | None = None
    profile: Text | None = None
    endpoint_url: Annotated[str, BeforeValidator(urls.secure_url)] | None = None
    use_fips: Bool | None = None
    use_dualstack: Bool | None = None
    probe_image: Annotated[str, BeforeValidator(values.image)] | None = None
    registry_url: Annotated[str, BeforeValidator(urls.secure_url)] | None = None
    ca_file: Path | None = None
    aliases: Bool = False
    required: Bool = True


class ConnectionEntry(Section):
    registry: Text | None = None
    create: Bool = True
    team_name: Text | None = None
    required: Bool = True


class HeaderEntry(Section):
    file: SecretPath | None = None
    env: Variable | None = None


class AirflowEntry(Section):
    name: Name | None = None
    kind: Annotated[str, BeforeValidator(values.one_of("api", "secrets_file", "secrets_manager"))] = "api"
    url: Annotated[str, BeforeValidator(urls.airflow_url)] | None = None
    username: Text | None = None
    password_file: SecretPath | None = None
    password_env: Variable | None = None
    token_file: SecretPath | None = None
    token_env: Variable | None = None
    ca_file: Path | None = None
    allow_http: Bool = False
    headers: dict[str, Annotated[HeaderEntry, BeforeValidator(values.no_bare_secret)]] = Field(default_factory=dict)
    mwaa_environment: Environment | None = None
    region: Region | None = None
    role_arn: RoleArn | None = None
    file: Path | None = None
    mode: Annotated[int, BeforeValidator(values.octal_mode)] = 0o600
    prefix: Prefix = "airflow/connections"
    connections: dict[str, ConnectionEntry] = Field(default_factory=dict)


class DockerEntry(Section):
    config_file: Path | None = None
    mode: Annotated[int, BeforeValidator(values.octal_mode)] = 0o600
    owner: Owner | None = None
    registries: list[Text] | None = None
    engine: Annotated[str, BeforeValidator(urls.engine_url)] | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    required: Bool = True


class RefreshEntry(Section):
    at_fraction: Number = _RULES.at_fraction
    jitter: Number = _RULES.jitter
    max_age: Annotated[float, BeforeValidator(values.duration(1.0))] | None = _RULES.max_age
    verify_every: Annotated[float, BeforeValidator(values.duration(1.0))] = _RULES.verify_every
    deadline: Annotated[float, BeforeValidator(values.duration(5.0, 600.0))] = _RULES.deadline
    retry_first: Annotated[float, BeforeValidator(values.duration(0.1, 3600.0))] = _RULES.retry_first
    retry_max: Annotated[float, BeforeValidator(values.duration(0.1, 86400.0))] = _RULES.retry_max
    prove: Bool = _RULES.prove


class CleanupEntry(Section):
    enabled: Bool = False


class ServerEntry(Section):
    listen: Annotated[values.Address, BeforeValidator(values.listen_address)] = values.Address(
        plan.Server().host, plan.Server().port
    )
    tls_cert: Path | None = None
    tls_key: Path | None = None


class LogEntry(Section):
    level: Annotated[str, BeforeValidator(values.one_of("debug", "info", "warning", "error"))] = _LOG.level
    format: Annotated[str, BeforeValidator(values.one_of("json", "console"))] = _LOG.format


class Settings(Section):
    """The whole of the settings, as they stand after the shorter ways of writing have been spelled out."""

    registries: list[RegistryEntry] = Field(default_factory=list)
    airflow: list[AirflowEntry] = Field(default_factory=list)
    docker: list[DockerEntry] = Field(default_factory=list)
    refresh: RefreshEntry = RefreshEntry()
    cleanup: CleanupEntry = CleanupEntry()
    server: ServerEntry = ServerEntry()
    log: LogEntry = LogEntry()


def validate(tree: dict[str, Tree], problems: Problems) -> Settings:
    """Give the settings of a tree; what is wrong goes to `problems` and is left out, so that the rest is judged too."""
    while True:
        try:
            return Settings.model_validate(tree)
        except ValidationError as refused:
            # Never `str(refused)` or its inputs: they show what was written, secrets too.
            for error in refused.errors(include_url=False, include_input=False):
                place: Place = error["loc"]
                problems.spoil(place, _said(error["type"], error.get("ctx", {}), place))
                _leave_out(tree, place)


def _said(kind: str, context: Mapping[str, Any], place: Place) -> str:
    if kind == "extra_forbidden":
        return _unknown(str(place[-1]), _section(place[:-1]))
    if kind == "value_error":
        return str(context["error"])
    return {
        "model_type": "is no mapping; write `key: value` lines below it",
        "dict_type": "is no mapping; write `key: value` lines below it",
        "list_type": "is no list; write `- ` before each entry",
    }.get(kind, "is not of the right kind; see the example in the documentation")


def _unknown(key: str, section: type[Section]) -> str:
    if key in ("password", "token"):
        return (
            f"no secret stands in the settings; put it into a file and name that as {key}_file, "
            f"or name the environment variable that holds it as {key}_env"
        )
    return f"unknown key; {did_you_mean(key, section.model_fields)}"


def _section(place: Place) -> type[Section]:
    """The section that has its place there."""
    sections: dict[str, type[Section]] = {
        "registries": RegistryEntry,
        "airflow": AirflowEntry if len(place) <= 2 else HeaderEntry if place[2] == "headers" else ConnectionEntry,
        "docker": DockerEntry,
        "refresh": RefreshEntry,
        "cleanup": CleanupEntry,
        "server": ServerEntry,
        "log": LogEntry,
    }
    return sections[str(place[0])] if place else Settings


def _leave_out(tree: Any, place: Place) -> None:
    """Take away what is wrong; in a list, something harmless keeps the other entries at their numbers."""
    *way, last = place
    for step in way:
        tree = tree[step]
    if isinstance(tree, list) and place[0] == "registries" and len(place) == 4:
        tree[int(last)] = "arn:aws:iam::000000000000:role/faulty" if place[2] == "role_arn" else None
    elif isinstance(tree, list):
        tree[int(last)] = {} if len(place) == 2 else "?"  # entries are sections, and names further down
    else:
        del tree[last]
