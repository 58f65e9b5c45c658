"""Where an Airflow's secrets are read from: its login's, and those of the headers that a proxy before it wants."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ....core import plan
from ..problems import Place, Problems
from ..schema import HeaderEntry

# What the request itself sets; the login has settings of its own.
_OURS = ("accept", "connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent")


def resolve(headers: Mapping[str, HeaderEntry], place: Place, problems: Problems) -> tuple[plan.Header, ...]:
    """Make the plan's headers; what is wrong with them goes to `problems`."""
    found: list[plan.Header] = []
    for name, entry in headers.items():
        there: Place = (*place, name)
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", name):
            problems.error(there, "is no header's name; write letters, digits and '-'")
        elif name.lower() == "authorization":
            problems.error(there, "is the login's header; give username and password_file, or token_file")
        elif name.lower() in _OURS:
            problems.error(there, "is set by the request itself; remove it")
        elif name.lower() in [header.name.lower() for header in found]:
            problems.error(there, "stands there twice, upper and lower case being the same; remove one")
        value = reference(entry.file, entry.env, (*there, "file"), problems)
        if value is None:
            problems.error(there, "has no value; write {file: PATH}, or {env: NAME} of a variable")
        else:
            found.append(plan.Header(name, value))
    return tuple(found)


def reference(file: str | None, variable: str | None, place: Place, problems: Problems) -> plan.SecretRef | None:
    if file is not None and variable is not None:
        problems.error(place, f"is given beside {str(place[-1]).removesuffix('file')}env; keep one of them")
    if file is not None:
        return plan.SecretRef("file", file)
    return plan.SecretRef("env", variable) if variable is not None else None
