"""A file of connections in the .env form: a line `ID=URI` each. Pure.

A URI has no place for a description, so the marker stands in a comment on the line before.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from .....core.model import Failed, Reason


def entry(text: str, path: str, connection: str) -> dict[str, Any] | None:
    """One connection by its fields, its options as `query`; None if it is not there. Raises Failed."""
    _check(text, path)
    uri, note = None, None
    for line in text.splitlines():
        if line.startswith(f"{connection}="):
            uri = line.partition("=")[2]
        elif line.startswith(_note(connection)):
            note = line.removeprefix(_note(connection))
    if uri is None:
        return None
    try:
        parts = urlsplit(uri)
        found: dict[str, Any] = {"conn_type": parts.scheme, "host": unquote(parts.hostname or ""), "port": parts.port}
    except ValueError:
        message = f"{path} has no URI behind {connection}="
        raise Failed(Reason.INVALID, message, "Correct it, or remove the line") from None
    found |= {"login": unquote(parts.username or ""), "password": unquote(parts.password or "")}
    return found | {"schema": unquote(parts.path[1:]), "query": parts.query, "description": note}


def replaced(text: str, path: str, connection: str, entry: Mapping[str, Any]) -> str:
    """The text with this entry in it, and every other line as it was. Raises Failed."""
    _check(text, path)
    written = f"{_note(connection)}{entry['description']}\n{connection}={_uri(entry)}\n"
    kept, put = "", False
    for line in text.splitlines(keepends=True):
        if line.startswith(f"{connection}="):
            kept, put = kept + written, True
        elif not line.startswith(_note(connection)):
            kept += line
    if put:
        return kept
    return kept + ("" if not kept or kept.endswith("\n") else "\n") + written


def _uri(entry: Mapping[str, Any]) -> str:
    port = f":{entry['port']}" if entry.get("port") else ""
    schema, query = quote(entry.get("schema") or "", safe=""), entry.get("query") or ""
    tail = f"/{schema}" + (f"?{query}" if query else "") if schema or query else ""
    login, password = (quote(entry[field], safe="") for field in ("login", "password"))
    return f"{entry['conn_type']}://{login}:{password}@{entry['host']}{port}{tail}"


def _note(connection: str) -> str:
    return f"# {connection} "


def _check(text: str, path: str) -> None:
    """Raise Failed where Airflow would read no connection of the file."""
    seen = set()
    for number, line in enumerate(text.splitlines(), 1):
        key, _, value = line.partition("=")
        if not line or line.lstrip().startswith("#"):
            continue
        if not key or not value:
            message = f"{path} has a line {number} that is not ID=URI"
            raise Failed(Reason.INVALID, message, "Correct or remove that line")
        if key in seen:
            raise Failed(Reason.INVALID, f"{path} has a connection twice (line {number})", "Remove one of the two")
        seen.add(key)
