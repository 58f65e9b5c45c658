"""Airflows of the plan: one login each, no secret over plain http, no connection claimed twice."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...core import plan
from . import urls
from .paths import Paths
from .problems import Place, Problems
from .registries import Registries
from .schema import AirflowEntry

DEFAULT_CONNECTION = "docker_default"
CONNECTION_ID_MAX = 200  # Airflow's column

# (one of Airflow's URLs, connection id) -> where it was claimed first
_Claims = dict[tuple[tuple[str, str, int, str], str], Place]


def resolve(
    entries: Sequence[AirflowEntry], registries: Registries, paths: Paths, problems: Problems
) -> tuple[plan.Airflow, ...]:
    """Make the plan's Airflows; what is wrong with them goes to `problems`."""
    claims: _Claims = {}
    found = []
    for index, entry in enumerate(entries):
        place: Place = ("airflow", index)
        _check_url(entry, place, problems)
        password, token = _login(entry, place, paths, problems)
        connections = _connections(entry, place, registries, problems)
        _check_claims(entry, connections, place, claims, problems)
        found.append(
            plan.Airflow(
                name=_name(entries, index, problems),
                url=entry.url or "",
                connections=connections,
                username=entry.username,
                password=password,
                token=token,
                ca_file=paths.absolute(entry.ca_file),
            )
        )
    return tuple(found)


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
    entry: AirflowEntry, place: Place, paths: Paths, problems: Problems
) -> tuple[plan.SecretRef | None, plan.SecretRef | None]:
    """References to the password and the token; one of them, the other None."""
    password = _reference(entry.password_file, entry.password_env, (*place, "password_file"), paths, problems)
    token = _reference(entry.token_file, entry.token_env, (*place, "token_file"), paths, problems)
    spoiled = any(
        problems.is_spoiled((*place, key))
        for key in ("username", "password_file", "password_env", "token_file", "token_env", "password", "token")
    )
    if spoiled:
        return None, None
    if token is not None and (password is not None or entry.username is not None):
        problems.error(place, "has two logins; give username and password, or a token, not both")
    elif token is None and password is None and entry.username is None:
        problems.error(
            place,
            "has no login; give username and password_file (or password_env), or token_file (or token_env); in the "
            "environment ECR_REFRESHER_AIRFLOW_USERNAME and _AIRFLOW_PASSWORD_FILE, or _AIRFLOW_TOKEN_FILE",
        )
    elif token is None and password is None:
        problems.error(
            (*place, "password_file"),
            "is missing; a username needs a password: give password_file or password_env, or "
            "ECR_REFRESHER_AIRFLOW_PASSWORD_FILE or ECR_REFRESHER_AIRFLOW_PASSWORD",
        )
    elif token is None and entry.username is None:
        problems.error((*place, "username"), "is missing; a password goes with one")
    return password, token


def _reference(
    file: str | None, variable: str | None, place: Place, paths: Paths, problems: Problems
) -> plan.SecretRef | None:
    if file is not None and variable is not None:
        problems.error(place, f"is given beside {str(place[-1]).removesuffix('_file')}_env; keep one of them")
    if file is not None:
        return plan.SecretRef("file", paths.expanded(file))
    return plan.SecretRef("env", variable) if variable is not None else None


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
        _check_id(connection, there, problems)
        if wanted.registry is not None:
            registry = registries.find(wanted.registry, (*there, "registry"))
        else:
            registry = registries.only((*there, "registry"), "is missing; with several registries it must be said")
        if registry is not None:
            found.append(
                plan.Connection(connection, registry, wanted.create, wanted.team_name, required=wanted.required)
            )
    return tuple(found)


def _check_id(connection: str, place: Place, problems: Problems) -> None:
    if len(connection) > CONNECTION_ID_MAX:
        problems.error(
            place, f"is longer than Airflow's {CONNECTION_ID_MAX} characters for a connection id; shorten it"
        )
    elif not re.fullmatch(r"[\w.-]+", connection):
        problems.error(place, "is no connection id that Airflow takes; write letters, digits, '_', '.' and '-' only")


def _check_claims(
    entry: AirflowEntry, connections: Sequence[plan.Connection], place: Place, claims: _Claims, problems: Problems
) -> None:
    """One connection holds one login: two that write it would take turns for ever."""
    if entry.url is None:
        return
    server = urls.server_of(entry.url)
    for connection in connections:
        there = (*place, "connections", connection.id)
        first = claims.setdefault((server, connection.id), there)
        if first is not there:
            problems.error(there, f"{problems.show(first)} claims this connection of the same Airflow; remove one")
