"""The `airflow` section: one model for each way into Airflow, and its keys."""

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from ..problems import Wrong
from . import kinds
from .section import NAMES_SCHEMA, Or, Section, split
from .urls import AirflowUrl, SecureUrl


class ConnectionEntry(Section):
    """One Airflow connection that must hold a registry's login."""

    key_of_a_text = "registry"

    registry: kinds.Text | None = None
    """The registry's name or host. Default: the only registry."""
    create: kinds.Bool = True
    """Create the connection where it is missing. With false it is only updated."""
    team_name: kinds.Text | None = None
    """The team that a new connection belongs to, in a multi-team Airflow 3. In a secrets backend, the team that looks
    for the connection there. Default: every team sees it."""
    required: kinds.Bool = True
    """Counts for readiness and exit codes."""


class HeaderEntry(Section):
    """Where a header's value is read from: a file or a variable."""

    file: kinds.SecretPath | None = None
    """The file that holds the value; read at each pass."""
    env: kinds.Variable | None = None
    """The environment variable that holds the value."""

    @model_validator(mode="before")
    @classmethod
    def _no_bare_secret(cls, given: Any) -> Any:
        if isinstance(given, str):  # it may be the secret itself
            raise Wrong("is a value, and the settings must not hold a secret", "Write {file: PATH}, or {env: NAME}")
        return given


def _by_id(given: Any) -> Any:
    if isinstance(given, str):
        given = dict.fromkeys(split(given))
    return {id_: {} if one is None else one for id_, one in given.items()} if isinstance(given, dict) else given


def _limit_ids(schema: dict[str, Any]) -> None:
    """Ids as Airflow takes them; with a slash in its secrets backends alone."""
    schema["anyOf"][0]["propertyNames"] = {"pattern": r"^[\w./-]{1,200}$"}


class _Airflow(Section):
    """What every Airflow has."""

    @classmethod
    def unknown(cls, key: str) -> Wrong:
        others = [name for name, model in WAYS.items() if key in model.model_fields]
        if not others:
            return super().unknown(key)
        own = next(name for name, model in WAYS.items() if model is cls)
        return Wrong(f"applies to {' or '.join(others)}, not to {own}", "Remove one of them")

    name: kinds.Name | None = None
    """What metrics and `/status` call it; needed with several. Default: `default`."""

    connections: Annotated[
        dict[str, Annotated[ConnectionEntry, Or(kinds.TEXT_KIND.schema), Or({"type": "null"})]],
        BeforeValidator(_by_id),
        Field(json_schema_extra=_limit_ids),
        Or(NAMES_SCHEMA),
    ] = Field(default_factory=dict)
    """Connection id to a registry's name or host, or to a mapping. Default: `docker_default`, with one registry."""


class ApiEntry(_Airflow, title="REST API"):
    """Airflow's REST API."""

    kind: Annotated[Literal["api"], kinds.AnyCase()] = "api"
    """May be left out."""
    url: AirflowUrl | None = None
    """The base URL, as people open it in a browser, path prefix included."""

    username: kinds.Text | None = None
    """The user who edits connections; needs a password too."""
    password_file: kinds.SecretPath | None = None
    """The file that holds the password; read at each pass."""
    password_env: kinds.Variable | None = None
    """The environment variable that holds the password."""

    token_file: kinds.SecretPath | None = None
    """The file that holds a bearer token, in place of user and password; read at each pass."""
    token_env: kinds.Variable | None = None
    """The environment variable that holds a bearer token."""

    client_id: kinds.Text | None = None
    """A machine's login by OAuth 2.0 client credentials, in place of user and password; needs a client secret too."""
    client_secret_file: kinds.SecretPath | None = None
    """The file that holds the client secret; read at each pass."""
    client_secret_env: kinds.Variable | None = None
    """The environment variable that holds the client secret."""

    token_url: SecureUrl | None = None
    """The identity provider's token endpoint, which gets the client credentials. Default: Airflow's own `/auth/token`
    (Keycloak auth manager)."""
    scope: kinds.Text | None = None
    """With `token_url`: the scope to ask for."""
    audience: kinds.Text | None = None
    """With `token_url`: the audience to ask for."""

    client_cert: kinds.Path | None = None
    """The client certificate (PEM) for an Airflow, or a proxy before it, that asks for one; read at each pass."""
    client_key: kinds.Path | None = None
    """That certificate's key."""
    ca_file: kinds.Path | None = None
    """The CA certificates (PEM) to trust. Default: the system's."""
    allow_http: kinds.Bool = False
    """Allow plain http to another host, which sends passwords in the clear; warns."""
    headers: dict[str, HeaderEntry] = Field(default_factory=dict)
    """Headers for a proxy in front of Airflow, sent with each request: name to `{file: PATH}` or `{env: NAME}`."""


class _OfAws(_Airflow):
    """What the ways through AWS have."""

    region: kinds.Region | None = None
    """Its AWS region. Default: the AWS region of the environment variables."""
    role_arn: kinds.RoleArn | None = None
    """The role to assume for it."""


class MwaaEntry(_OfAws, title="Amazon MWAA"):
    """An Amazon MWAA environment: AWS credentials are its login."""

    kind: Annotated[Literal["api"], kinds.AnyCase()] = "api"
    """May be left out."""
    mwaa_environment: kinds.Environment | None = None
    """The name of the MWAA environment."""


def _suffix(path: str) -> str:
    if not path.endswith((".json", ".yaml", ".yml", ".env")):
        raise Wrong("has no suffix that Airflow knows", "Name it .json, .yaml, .yml or .env")
    return path


class SecretsFileEntry(_Airflow, title="secrets file"):
    """The file that Airflow's LocalFilesystemBackend reads."""

    kind: Annotated[Literal["secrets_file"], kinds.AnyCase()]
    """Selects this sink."""
    file: Annotated[kinds.Path, AfterValidator(_suffix)] | None = None
    """The backend's `connections_file_path`: a `.json`, `.yaml`, `.yml` or `.env` file."""
    mode: kinds.Mode | None = None
    """The file's mode, in octal. Default: 0600 for a new file; an existing one keeps its own."""


class SecretsManagerEntry(_OfAws, title="Secrets Manager"):
    """AWS Secrets Manager, as the amazon provider's backend reads it."""

    kind: Annotated[Literal["secrets_manager"], kinds.AnyCase()]
    """Selects this sink."""
    prefix: kinds.Prefix = "airflow/connections"
    """The backend's `connections_prefix`."""
    sep: kinds.Separator = "/"
    """The backend's `sep`, between prefix and connection id."""


class ParameterStoreEntry(_OfAws, title="Parameter Store"):
    """SSM's Parameter Store, as the amazon provider's backend reads it."""

    kind: Annotated[Literal["parameter_store"], kinds.AnyCase()]
    """Selects this sink."""
    prefix: kinds.Prefix = "/airflow/connections"
    """The backend's `connections_prefix`."""


# Each with its tag in pydantic's errors, which messages use as the word for that way.
_Way: TypeAlias = (
    Annotated[ApiEntry, Tag("url")]
    | Annotated[MwaaEntry, Tag("mwaa_environment")]
    | Annotated[SecretsFileEntry, Tag("kind: secrets_file")]
    | Annotated[SecretsManagerEntry, Tag("kind: secrets_manager")]
    | Annotated[ParameterStoreEntry, Tag("kind: parameter_store")]
)
WAYS: dict[str, type[_Airflow]] = {tag.tag: model for model, tag in map(get_args, get_args(_Way))}


def _way(given: Any) -> str:
    """The tag of the model that reads an entry."""
    if not isinstance(given, dict):  # a model that is serialized; anything else gets the error of ApiEntry
        return next((way for way, model in WAYS.items() if isinstance(given, model)), "url")
    kind = given.get("kind") or "api"
    if isinstance(kind, str) and kind.lower() != "api":
        return f"kind: {kind.lower()}"
    return "url" if given.get("mwaa_environment") is None else "mwaa_environment"


AirflowEntry: TypeAlias = Annotated[_Way, Discriminator(_way)]
