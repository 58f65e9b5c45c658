"""Airflows of the plan: one way in and one login each, no secret over plain http, no connection claimed twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from msgspec.structs import replace

from ....core import plan
from ..problems import Place, Problems
from ..schema import AirflowEntry
from . import airflow_headers, tls, urls
from .airflow_headers import reference
from .paths import Paths
from .registries import Registries, own_region

DEFAULT_CONNECTION = "docker_default"
CONNECTION_ID_MAX = 200  # Airflow's column
MWAA_PATH_MAX = 64  # characters of AWS's InvokeRestApi, "/connections/" among them

# What goes with which way into Airflow; `name`, `kind` and `connections` go with each.
_SECRETS = ("password_file", "password_env", "token_file", "token_env", "client_secret_file", "client_secret_env")
_LOGIN = ("username", *_SECRETS, "client_id", "token_url", "scope", "audience")
_KEYS = {
    "url": ("url", *_LOGIN, "client_cert", "client_key", "ca_file", "allow_http", "headers"),
    "mwaa_environment": ("mwaa_environment", "region", "role_arn"),
    "kind: secrets_file": ("file", "mode"),
    "kind: secrets_manager": ("prefix", "sep", "region", "role_arn"),
    "kind: parameter_store": ("prefix", "region", "role_arn"),
}
_WITH_TEAMS = ("api", "secrets_manager", "parameter_store")  # Airflow's file backend knows no teams

# (where an Airflow is, team, connection id) -> where it was claimed first
_Claims = dict[tuple[object, str | None, str], Place]


def resolve(
    entries: Sequence[AirflowEntry], registries: Registries, paths: Paths, problems: Problems
) -> tuple[plan.Airflow, ...]:
    """Make the plan's Airflows; what is wrong with them goes to `problems`."""
    claims: _Claims = {}
    found = []
    for index, entry in enumerate(entries):
        place: Place = ("airflow", index)
        way = _way(entry)
        _check_keys(entry, way, place, problems)
        airflow = plan.Airflow(
            name=_name(entries, index, problems), url="", connections=_connections(entry, place, registries, problems)
        )
        if way == "url":
            airflow = _by_url(airflow, entry, place, problems)
        else:
            airflow = _by_another_way(airflow, entry, way, place, paths, problems)
        _check_claims(airflow, place, claims, problems)
        found.append(airflow)
    return tuple(found)


def variables(entry: AirflowEntry) -> list[str]:
    """The environment variables that an entry names."""
    named = (
        entry.password_env,
        entry.token_env,
        entry.client_secret_env,
        *(header.env for header in entry.headers.values()),
    )
    return [name for name in named if name is not None]


def keys_of(entry: AirflowEntry) -> tuple[str, ...]:
    """The keys that go with an entry's way into Airflow."""
    return "name", "kind", "connections", *_KEYS[_way(entry)]


def _way(entry: AirflowEntry) -> str:
    if entry.kind != "api":
        return f"kind: {entry.kind}"
    return "url" if entry.mwaa_environment is None else "mwaa_environment"


def _check_keys(entry: AirflowEntry, way: str, place: Place, problems: Problems) -> None:
    known = keys_of(entry)
    for key in AirflowEntry.model_fields:  # in the order of the documentation
        if key in entry.model_fields_set and key not in known:
            with_what = " or ".join(other for other, keys in _KEYS.items() if key in keys)
            problems.error((*place, key), f"goes with {with_what}, not with {way}; remove one of them")
    for connection, wanted in entry.connections.items():
        there: Place = (*place, "connections", connection, "team_name")
        if wanted.team_name is not None and entry.kind not in _WITH_TEAMS:
            problems.error(there, f"Airflow's backend of {way} knows no teams; remove it")
        elif wanted.team_name is not None and entry.kind != "api" and plan.TEAM_SEP in connection:
            problems.error(there, f"Airflow refuses a team's connection id with '{plan.TEAM_SEP}' in it; rename it")


def _by_url(airflow: plan.Airflow, entry: AirflowEntry, place: Place, problems: Problems) -> plan.Airflow:
    _check_url(entry, place, problems)
    password, token, client = _login(entry, place, problems)
    tls.check_pair(entry.client_cert, entry.client_key, place, problems, ("client_cert", "client_key"))
    return replace(
        airflow,
        url=entry.url or "",
        username=entry.username,
        password=password,
        token=token,
        client=client,
        client_cert=entry.client_cert,
        client_key=entry.client_key,
        ca_file=entry.ca_file,
        headers=airflow_headers.resolve(entry.headers, (*place, "headers"), problems),
    )


def _by_another_way(
    airflow: plan.Airflow, entry: AirflowEntry, way: str, place: Place, paths: Paths, problems: Problems
) -> plan.Airflow:
    if way == "kind: secrets_file":
        return replace(airflow, secrets_file=_secrets_file(entry, place, problems))
    region = entry.region or own_region(place, paths, problems)
    if way == "kind: secrets_manager":
        prefix = ("airflow/connections" if entry.prefix is None else entry.prefix).rstrip(entry.sep)
        return replace(airflow, secrets_manager=plan.SecretsManager(prefix, region, entry.role_arn, entry.sep))
    if way == "kind: parameter_store":
        prefix = "/" + ("airflow/connections" if entry.prefix is None else entry.prefix).strip("/")
        return replace(airflow, parameter_store=plan.ParameterStore(prefix.rstrip("/"), region, entry.role_arn))
    for connection in airflow.connections:
        if (length := len(f"/connections/{quote(connection.id, safe='')}")) > MWAA_PATH_MAX:
            problems.error(
                (*place, "connections", connection.id),
                f"is too long for MWAA by {length - MWAA_PATH_MAX} characters: its API takes ids of up to 51",
            )
    return replace(airflow, mwaa=plan.Mwaa(entry.mwaa_environment or "", region, entry.role_arn))


def _secrets_file(entry: AirflowEntry, place: Place, problems: Problems) -> plan.SecretsFile:
    if entry.file is None:
        problems.error((*place, "file"), "is missing; give connections_file_path of Airflow's LocalFilesystemBackend")
    elif not entry.file.endswith((".json", ".yaml", ".yml", ".env")):
        problems.error(
            (*place, "file"), "has no ending that Airflow's backend knows; name it .json, .yaml, .yml or .env"
        )
    if entry.mode is not None and entry.mode & 0o004:
        problems.warn((*place, "mode"), f'"{entry.mode:04o}" lets everybody read the login; "0640" is for a group')
    return plan.SecretsFile(entry.file or "", entry.mode)


def _name(entries: Sequence[AirflowEntry], index: int, problems: Problems) -> str:
    place: Place = ("airflow", index, "name")
    name = entries[index].name
    if name is None and len(entries) > 1:
        problems.error(place, "is missing; with several Airflows each needs a name")
    elif name is not None and name in [entry.name for entry in entries[:index]]:
        problems.error(place, f"another Airflow has the name '{name}' already; give each its own")
    return name or "default"


def _check_url(entry: AirflowEntry, place: Place, problems: Problems) -> None:
    place = (*place, "url")
    if entry.url is None:
        problems.error(place, "is missing; give Airflow's base URL, e.g. https://airflow.example.com")
    elif urls.is_foreign_http(entry.url):
        if entry.allow_http:
            problems.warn(place, "plain http to another host: passwords and tokens can be read on the way")
        else:
            problems.error(
                place, "is plain http to another host; write https://, or set allow_http: true in the settings file"
            )


def _login(
    entry: AirflowEntry, place: Place, problems: Problems
) -> tuple[plan.SecretRef | None, plan.SecretRef | None, plan.Client | None]:
    """The password's reference, the token's, and the client: one of them, the others None."""
    password = reference(entry.password_file, entry.password_env, (*place, "password_file"), problems)
    token = reference(entry.token_file, entry.token_env, (*place, "token_file"), problems)
    secret = reference(entry.client_secret_file, entry.client_secret_env, (*place, "client_secret_file"), problems)
    if any(problems.is_spoiled((*place, key)) for key in (*_LOGIN, "password", "token", "client_secret")):
        return None, None, None
    by_password = password is not None or entry.username is not None
    by_client = secret is not None or entry.client_id is not None
    if by_password + by_client + (token is not None) > 1:
        problems.error(place, "has two logins; give username and password, or a token, or a client, not both")
    elif by_password and password is None:
        problems.error(
            (*place, "password_file"),
            "is missing; a username needs a password: give password_file or password_env, or "
            "ECR_REFRESHER_AIRFLOW_PASSWORD_FILE or ECR_REFRESHER_AIRFLOW_PASSWORD",
        )
    elif by_password and entry.username is None:
        problems.error((*place, "username"), "is missing; a password goes with one")
    elif by_client and secret is None:
        problems.error((*place, "client_secret_file"), "is missing; give client_secret_file or client_secret_env")
    elif by_client and entry.client_id is None:
        problems.error((*place, "client_id"), "is missing; a client secret goes with one")
    elif not (by_password or by_client or token or entry.headers):
        problems.error(
            place,
            "has no login; give username and password_file (or password_env), or token_file (or token_env), or "
            "client_id and client_secret_file; in the environment ECR_REFRESHER_AIRFLOW_USERNAME and "
            "_AIRFLOW_PASSWORD_FILE, or _AIRFLOW_TOKEN_FILE",
        )
    for key, other in (("token_url", "client_id"), ("scope", "token_url"), ("audience", "token_url")):
        if getattr(entry, key) is not None and getattr(entry, other) is None:
            problems.error((*place, key), f"goes with {other}; give that, or remove this")
    if secret is None or entry.client_id is None:
        return password, token, None
    return None, None, plan.Client(entry.client_id, secret, entry.token_url, entry.scope, entry.audience)


def _connections(
    entry: AirflowEntry, place: Place, registries: Registries, problems: Problems
) -> tuple[plan.Connection, ...]:
    place = (*place, "connections")
    if not entry.connections:
        if problems.is_spoiled(place):
            return ()
        only = registries.only(place, "is missing; with several registries each connection says whose login it gets")
        return (plan.Connection(DEFAULT_CONNECTION, only),) if only else ()
    found = []
    for connection, wanted in entry.connections.items():
        there: Place = (*place, connection)
        _check_id(connection, there, problems, slashes=entry.kind != "api")
        if wanted.registry is not None:
            registry = registries.find(wanted.registry, (*there, "registry"))
        else:
            registry = registries.only((*there, "registry"), "is missing; with several registries it must be said")
        if registry is not None:
            found.append(
                plan.Connection(connection, registry, wanted.create, wanted.team_name, required=wanted.required)
            )
    return tuple(found)


def _check_id(connection: str, place: Place, problems: Problems, *, slashes: bool) -> None:
    if len(connection) > CONNECTION_ID_MAX:
        problems.error(
            place, f"is longer than Airflow's {CONNECTION_ID_MAX} characters for a connection id; shorten it"
        )
    elif not re.fullmatch(r"[\w./-]+" if slashes else r"[\w.-]+", connection):
        problems.error(place, "is no connection id that Airflow takes; write letters, digits, '_', '.' and '-' only")


def _check_claims(airflow: plan.Airflow, place: Place, claims: _Claims, problems: Problems) -> None:
    """One connection holds one login: two that write it would take turns for ever."""
    if not airflow.target:
        return
    where = urls.server_of(airflow.url) if airflow.url else airflow.target
    for connection in airflow.connections:
        there = (*place, "connections", connection.id)
        # A secrets backend keeps a team's connection under a name of its own.
        team = None if airflow.url else connection.team_name
        first = claims.setdefault((where, team, connection.id), there)
        if first is not there:
            problems.error(there, f"{problems.show(first)} claims this connection of the same Airflow; remove one")
