"""Airflows, the ways to write their connections, and the logins for that."""

from typing import Literal

from ..model import Record

TEAM_SEP = "--"  # between team and connection id, in the names that Airflow's secrets backends look for


class SecretRef(Record, frozen=True):
    """Where each pass reads a secret: a file's path, or the name of an environment variable."""

    kind: Literal["file", "env"]
    where: str


class Connection(Record, frozen=True):
    """One Airflow connection that must hold the login of one registry."""

    id: str
    registry: str
    create: bool = True
    team_name: str | None = None
    required: bool = True


class Header(Record, frozen=True):
    """A header that a proxy before Airflow requires."""

    name: str
    value: SecretRef


class Mwaa(Record, frozen=True):
    """Amazon's managed Airflow: an environment in place of a URL, AWS credentials in place of a login."""

    environment: str
    region: str
    role_arn: str | None = None


class SecretsFile(Record, frozen=True):
    """The file that Airflow's LocalFilesystemBackend reads."""

    path: str
    mode: int | None = None  # None: an existing file keeps its own, a new one gets 0600


class SecretsManager(Record, frozen=True):
    """AWS Secrets Manager, as the amazon provider's backend reads connections.

    A connection is the secret `PREFIX SEP id`; a team's is `PREFIX SEP team--id`.
    """

    prefix: str
    region: str
    role_arn: str | None = None
    sep: str = "/"

    def secret_of(self, connection: Connection) -> str:
        name = _with_team(connection)
        return f"{self.prefix}{self.sep}{name}" if self.prefix else name


class ParameterStore(Record, frozen=True):
    """SSM's Parameter Store, as the amazon provider's backend reads connections: `PREFIX/id`, `PREFIX/team--id`."""

    prefix: str
    region: str
    role_arn: str | None = None

    def parameter_of(self, connection: Connection) -> str:
        return f"{self.prefix}/{_with_team(connection)}"


def _with_team(connection: Connection) -> str:
    return connection.id if connection.team_name is None else f"{connection.team_name}{TEAM_SEP}{connection.id}"


class Client(Record, frozen=True):
    """A machine's login by OAuth 2.0 client credentials.

    Without `token_url` they go to Airflow's own `/auth/token` (Keycloak auth manager).
    """

    id: str
    secret: SecretRef
    token_url: str | None = None
    scope: str | None = None
    audience: str | None = None


class Airflow(Record, frozen=True):
    """One Airflow and its connections, through its API at `url` or through one of the other ways."""

    name: str
    url: str
    connections: tuple[Connection, ...]
    username: str | None = None
    password: SecretRef | None = None
    token: SecretRef | None = None
    ca_file: str | None = None
    headers: tuple[Header, ...] = ()
    mwaa: Mwaa | None = None
    secrets_file: SecretsFile | None = None
    secrets_manager: SecretsManager | None = None
    parameter_store: ParameterStore | None = None
    client: Client | None = None
    client_cert: str | None = None  # for Airflow or its proxy, if it asks for a certificate; read at each pass
    client_key: str | None = None

    @property
    def group(self) -> str:
        return f"airflow/{self.name}"

    def sink(self, connection: Connection) -> str:
        return f"{self.group}/{connection.id}"

    @property
    def by_backend(self) -> bool:
        """True where a secrets backend of Airflow is written, and not its database."""
        return any((self.secrets_file, self.secrets_manager, self.parameter_store))

    @property
    def target(self) -> str:
        """Where the connections are, for people."""
        if self.mwaa is not None:
            return f"mwaa:{self.mwaa.region}/{self.mwaa.environment}"
        if self.secrets_file is not None:
            return self.secrets_file.path
        if self.secrets_manager is not None:
            return f"secretsmanager:{self.secrets_manager.region}/{self.secrets_manager.prefix}"
        if self.parameter_store is not None:
            return f"ssm:{self.parameter_store.region}{self.parameter_store.prefix}"
        return self.url

    @property
    def secrets(self) -> tuple[SecretRef, ...]:
        """What its login and headers are read from."""
        client = None if self.client is None else self.client.secret
        refs = (self.password, self.token, client, *(header.value for header in self.headers))
        return tuple(ref for ref in refs if ref is not None)

    @property
    def secret_paths(self) -> frozenset[str]:
        """The files among these."""
        return frozenset(ref.where for ref in self.secrets if ref.kind == "file")
