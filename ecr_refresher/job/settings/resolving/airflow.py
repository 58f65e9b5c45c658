"""Airflows of the plan: one login each, no secret over plain http, no connection claimed twice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from msgspec.structs import replace

from ....core import plan
from ..problems import Place, Problems, quoted
from ..schema.airflow import (
    AirflowEntry,
    ApiEntry,
    HeaderEntry,
    MwaaEntry,
    ParameterStoreEntry,
    SecretsFileEntry,
    SecretsManagerEntry,
)
from ..schema.urls import is_foreign_http
from ..surroundings import Surroundings
from .engine import check_pair
from .registries import Registries, own_region

DEFAULT_CONNECTION = "docker_default"
CONNECTION_ID_MAX = 200  # Airflow's column
MWAA_PATH_MAX = 64  # characters of AWS's InvokeRestApi, "/connections/" among them
MWAA_ID_MAX = 51

_LOGIN = (
    *("username", "password_file", "password_env", "password", "token_file", "token_env", "token"),
    *("client_id", "client_secret_file", "client_secret_env", "client_secret"),
)
# Headers that the request itself sets.
_OURS = ("accept", "connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent")


def resolve(
    entries: Sequence[AirflowEntry], registries: Registries, surroundings: Surroundings, problems: Problems
) -> tuple[plan.Airflow, ...]:
    """Make the plan's Airflows; what is wrong with them goes to `problems`."""
    claims: dict[tuple[str, str | None, str], Place] = {}
    found = []
    for index, entry in enumerate(entries):
        place: Place = ("airflow", index)
        connections = _connections(entry, (*place, "connections"), registries, problems)
        airflow = plan.Airflow(name=_name(entries, index, problems), url="", connections=connections)
        airflow = _with_way(airflow, entry, place, surroundings, problems)
        _check_claims(airflow, (*place, "connections"), claims, problems)
        found.append(airflow)
    return tuple(found)


def variables(entry: AirflowEntry) -> list[str]:
    """The environment variables that an entry names."""
    if not isinstance(entry, ApiEntry):
        return []
    of_headers = (header.env for header in entry.headers.values())
    named = (entry.password_env, entry.token_env, entry.client_secret_env, *of_headers)
    return [name for name in named if name is not None]


def _with_way(
    airflow: plan.Airflow, entry: AirflowEntry, place: Place, surroundings: Surroundings, problems: Problems
) -> plan.Airflow:
    """The Airflow with the way into it."""
    if isinstance(entry, ApiEntry):
        return _by_api(airflow, entry, place, problems)
    if isinstance(entry, SecretsFileEntry):
        if entry.file is None:
            fix = "Give connections_file_path of Airflow's LocalFilesystemBackend"
            problems.error((*place, "file"), "is missing", fix)
        if entry.mode is not None and entry.mode & 0o004:
            what = f'"{entry.mode:04o}" lets everybody read the login'
            problems.warn((*place, "mode"), what, 'Write "0640" for a group')
        return replace(airflow, secrets_file=plan.SecretsFile(entry.file or "", entry.mode))
    region = entry.region or own_region(place, surroundings, problems)
    if isinstance(entry, SecretsManagerEntry):
        manager = plan.SecretsManager(entry.prefix.rstrip(entry.sep), region, entry.role_arn, entry.sep)
        return replace(airflow, secrets_manager=manager)
    if isinstance(entry, ParameterStoreEntry):
        prefix = f"/{entry.prefix.strip('/')}".rstrip("/")
        return replace(airflow, parameter_store=plan.ParameterStore(prefix, region, entry.role_arn))
    return replace(airflow, mwaa=plan.Mwaa(entry.mwaa_environment or "", region, entry.role_arn))


def _by_api(airflow: plan.Airflow, entry: ApiEntry, place: Place, problems: Problems) -> plan.Airflow:
    there = (*place, "url")
    if entry.url is None:
        problems.error(there, "is missing", "Give Airflow's base URL, e.g. https://airflow.example.com")
    elif is_foreign_http(entry.url):
        if entry.allow_http:
            problems.warn(there, "is plain http: others can read passwords on the way", "Write https://")
        else:
            fix = "Write https://, or set allow_http: true in the settings file"
            problems.error(there, "is plain http to another host", fix)
    check_pair(entry.client_cert, entry.client_key, place, problems, ("client_cert", "client_key"))
    password, token, client = _login(entry, place, problems)
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
        headers=_headers(entry.headers, (*place, "headers"), problems),
    )


def _login(
    entry: ApiEntry, place: Place, problems: Problems
) -> tuple[plan.SecretRef | None, plan.SecretRef | None, plan.Client | None]:
    """The reference to the password, the one to the token, and the client: one of them, the others None."""
    password = _reference(entry.password_file, entry.password_env, (*place, "password_file"), problems)
    token = _reference(entry.token_file, entry.token_env, (*place, "token_file"), problems)
    secret = _reference(entry.client_secret_file, entry.client_secret_env, (*place, "client_secret_file"), problems)
    if problems.is_spoiled(*((*place, key) for key in _LOGIN)):
        return None, None, None
    by_password = password is not None or entry.username is not None
    by_client = secret is not None or entry.client_id is not None
    logins = by_password + by_client + (token is not None)
    if logins > 1:
        fix = "Give one: username and password, or a token, or client_id and client_secret"
        problems.error(place, f"has {'two' if logins == 2 else 'three'} logins", fix)
    elif not logins and not entry.headers:
        problems.error(
            place,
            "has no login",
            "Give username and password_file (or password_env), or token_file (or token_env), or client_id and "
            "client_secret_file; in the environment ECR_REFRESHER_AIRFLOW_USERNAME and _AIRFLOW_PASSWORD_FILE, or "
            "_AIRFLOW_TOKEN_FILE",
        )
    elif by_password:
        _check_parts(place, ("username", entry.username), ("password", password), problems)
    elif by_client:
        _check_parts(place, ("client_id", entry.client_id), ("client_secret", secret), problems)
    for key, other in (("token_url", "client_id"), ("scope", "token_url"), ("audience", "token_url")):
        if getattr(entry, key) is not None and getattr(entry, other) is None:
            problems.error((*place, key), f"goes with {other}", "Give that, or remove this")
    if secret is None or entry.client_id is None:
        return password, token, None
    return None, None, plan.Client(entry.client_id, secret, entry.token_url, entry.scope, entry.audience)


def _check_parts(place: Place, who: tuple[str, object], what: tuple[str, object], problems: Problems) -> None:
    """A name and its secret go together."""
    if who[1] is None:
        problems.error((*place, who[0]), "is missing", f"Give it: a {what[0]} goes with it")
    elif what[1] is None:
        fix = f"Give {what[0]}_file or {what[0]}_env: {who[0]} needs it"
        if what[0] == "password":
            fix += "; in the environment ECR_REFRESHER_AIRFLOW_PASSWORD_FILE or ECR_REFRESHER_AIRFLOW_PASSWORD"
        problems.error((*place, f"{what[0]}_file"), "is missing", fix)


def _reference(file: str | None, variable: str | None, place: Place, problems: Problems) -> plan.SecretRef | None:
    """Where a secret is read from."""
    if file is not None and variable is not None:
        problems.error(place, f"is given beside {str(place[-1]).removesuffix('file')}env", "Keep one of them")
    if file is not None:
        return plan.SecretRef("file", file)
    return plan.SecretRef("env", variable) if variable is not None else None


def _headers(headers: Mapping[str, HeaderEntry], place: Place, problems: Problems) -> tuple[plan.Header, ...]:
    """What a proxy before Airflow wants with each request."""
    found: dict[str, plan.Header] = {}
    for name, entry in headers.items():
        there: Place = (*place, name)
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name):
            problems.error(there, "is not the name of a header", "Write letters, digits and '-'")
        elif name.lower() == "authorization":
            problems.error(there, "is the login's header", "Give username and password_file, or token_file")
        elif name.lower() in _OURS:
            problems.error(there, "is set by the request itself", "Remove it")
        elif name.lower() in found:
            problems.error(there, "stands there twice, upper and lower case being the same", "Remove one")
        value = _reference(entry.file, entry.env, (*there, "file"), problems)
        if value is None:
            problems.error(there, "has no value", "Write {file: PATH}, or {env: NAME}")
        else:
            found[name.lower()] = plan.Header(name, value)
    return tuple(found.values())


def _name(entries: Sequence[AirflowEntry], index: int, problems: Problems) -> str:
    place: Place = ("airflow", index, "name")
    name = entries[index].name
    if name is None and len(entries) > 1:
        problems.error(place, "is missing", "Give each of several Airflows a name")
    elif name is not None and name in [entry.name for entry in entries[:index]]:
        problems.error(place, f"is the name of another Airflow: {quoted(name)}", "Give each its own")
    return name or "default"


def _connections(
    entry: AirflowEntry, place: Place, registries: Registries, problems: Problems
) -> tuple[plan.Connection, ...]:
    wanted = entry.connections
    if not wanted:
        only = None if problems.is_spoiled(place) else registries.only(place)
        return (plan.Connection(DEFAULT_CONNECTION, only),) if only else ()
    found = []
    for id_, one in wanted.items():
        there: Place = (*place, id_)
        _check_id(id_, one.team_name, entry, there, problems)
        by_registry = (*there, "registry")
        registry = registries.only(by_registry) if one.registry is None else registries.find(one.registry, by_registry)
        if registry is not None:
            found.append(plan.Connection(id_, registry, one.create, one.team_name, required=one.required))
    return tuple(found)


def _check_id(id_: str, team: str | None, entry: AirflowEntry, place: Place, problems: Problems) -> None:
    """A connection id as this way into Airflow takes it."""
    by_rest = isinstance(entry, ApiEntry | MwaaEntry)
    if len(id_) > CONNECTION_ID_MAX:
        problems.error(place, f"is longer than the {CONNECTION_ID_MAX} characters of Airflow's ids", "Shorten it")
    elif not re.fullmatch(r"[\w.-]+" if by_rest else r"[\w./-]+", id_):
        problems.error(place, "is not a connection id that Airflow takes", "Write letters, digits, '_', '.' and '-'")
    elif isinstance(entry, MwaaEntry) and len(f"/connections/{quote(id_, safe='')}") > MWAA_PATH_MAX:
        problems.error(place, "is too long for the API of MWAA", f"Shorten it to {MWAA_ID_MAX} plain characters")
    if team is None:
        return
    there: Place = (*place, "team_name")
    if isinstance(entry, SecretsFileEntry):
        problems.error(there, "is of no use: Airflow's LocalFilesystemBackend knows no teams", "Remove it")
    elif not by_rest and plan.TEAM_SEP in id_:
        what = f"goes with no id that has '{plan.TEAM_SEP}' in it, which Airflow refuses"
        problems.error(there, what, "Rename the connection")


def _check_claims(
    airflow: plan.Airflow, place: Place, claims: dict[tuple[str, str | None, str], Place], problems: Problems
) -> None:
    """One connection holds one login: two that write it would take turns for ever."""
    by_rest = airflow.url or airflow.mwaa
    for connection in airflow.connections if airflow.target else ():
        there = (*place, connection.id)
        # A secrets backend keeps a team's connection under a name of its own.
        team = None if by_rest else connection.team_name
        first = claims.setdefault((airflow.target, team, connection.id), there)
        if first is not there:
            what = f"{problems.show(first)} claims this connection of the same Airflow"
            problems.error(there, what, "Remove one of them")
