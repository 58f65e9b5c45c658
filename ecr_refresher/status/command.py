"""`ecr-refresher status`: asks the daemon, prints its answer, and returns the exit status."""

import sys
from collections.abc import Mapping

from .. import memory
from ..core.exits import EXIT_DONE, EXIT_FAILED, EXIT_USAGE
from . import address, client


def run(
    url: str | None, ca: str | None, config: str | None, environ: Mapping[str, str], *, live: bool, as_json: bool
) -> int:
    """Returns 0 if the daemon is ready (`live`: alive), 1 if not or if it gives no answer, 2 for a bad address."""
    try:
        there = address.find(url, ca, config, environ)
        with memory.bounded():
            good, text = _asked(there, live=live, as_json=as_json)
    except address.StatusError as error:
        from ..core.printable import printable

        print(f"ecr-refresher: status: {printable(str(error))}", file=sys.stderr)  # noqa: T201 - for the person who asked
        return EXIT_USAGE if isinstance(error, address.BadAddress) else EXIT_FAILED
    print(text, flush=True)  # noqa: T201 - standard output is for the command's result
    return EXIT_DONE if good else EXIT_FAILED


def _asked(there: address.Address, *, live: bool, as_json: bool) -> tuple[bool, str]:
    if live and not as_json:
        code, _ = client.get(there, "/livez", 200, 503)
        return code == 200, "alive" if code == 200 else "not alive: its loop does not turn"
    import json

    from ..terminal import rendered
    from .report import page

    _, body = client.get(there, "/status", 200)
    try:
        status = json.loads(body)
        good = bool(status["live"] if live else status["ready"])
        text = json.dumps(status, indent=2) if as_json else rendered(page(status), sys.stdout)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError):
        message = f"{there.url} does not answer as an ecr-refresher does"
        raise address.StatusError(message, "Check the address") from None
    return good, text
