"""What `ecr-refresher status` does: ask, print, and say by the exit status whether all is well."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..core.exits import EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from ..terminal import Paint
from . import address, client

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def run(
    url: str | None, ca: str | None, config: str | None, environ: Mapping[str, str], *, live: bool, as_json: bool
) -> int:
    """Ask the daemon; returns 0 if it is ready (`live`: alive), 1 if not or if nobody answers, 2 for a bad address."""
    try:
        there = address.find(url, ca, config, environ)
        good, text = _alive(there) if live and not as_json else _status(there, environ, live=live, as_json=as_json)
    except address.BadAddress as error:
        return _fail(error, EXIT_USAGE)
    except client.Unanswered as error:
        return _fail(error, EXIT_FAILED)
    print(text, flush=True)  # noqa: T201 - standard output is for the command's result
    return EXIT_DONE if good else EXIT_FAILED


def _alive(there: address.Address) -> tuple[bool, str]:
    code, _ = client.get(there, "/livez")
    _expect(code, there, 200, 503)
    return code == 200, "alive" if code == 200 else "not alive: its loop does not turn"


def _status(there: address.Address, environ: Mapping[str, str], *, live: bool, as_json: bool) -> tuple[bool, str]:
    import json

    code, body = client.get(there, "/status")
    _expect(code, there, 200)
    try:
        status: dict[str, Any] = json.loads(body)
        good = bool(status["live"] if live else status["ready"])
    except (ValueError, TypeError, KeyError):
        raise client.Unanswered(f"{there.url} answers something else; is it an ecr-refresher?") from None
    if as_json:
        return good, body.decode().rstrip("\n")
    from .report import report

    return good, report(status, Paint(sys.stdout, environ))


def _expect(code: int, there: address.Address, *known: int) -> None:
    if code not in known:
        raise client.Unanswered(f"{there.url} answers with HTTP {code}; is it an ecr-refresher? check the address")


def _fail(error: Exception, status: int) -> int:
    print(f"ecr-refresher: status: {error}", file=sys.stderr)  # noqa: T201 - for the person who asked
    return status
