"""What differs between Airflow 3 and Airflow 2, and how to find out which of them answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ....core.model import Failed, Reason, Secret
from .answers import Answer, failure

PASSWORD_MAX = 3679  # characters; encrypted they fill the VARCHAR(5000) of Airflow before 2.8 (TEXT since)


class Requests(Protocol):
    """A way to one Airflow: over HTTP, or through Amazon's API."""

    who: str

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, authorization: Secret | None = None
    ) -> Answer:
        """Send one request, once. Raises Failed where no answer came."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one Airflow wants to be spoken to."""

    api: str  # its path under the Airflow's URL
    basic: bool  # the password goes with each call; otherwise it buys a token first
    version: tuple[int, int] = (0, 0)

    def login_spent(self, answer: Answer) -> bool:
        """Tell whether a login that was good no longer is: it has expired, or the server's key has changed."""
        if answer.refused(401):
            return True
        # Airflow 3 says so with 403, not 401, where the signature does not fit (core_api/security.py).
        return not self.basic and answer.refused(403) and answer.detail == "Invalid JWT token"

    def knows_not(self, answer: Answer) -> bool:
        """Tell whether it does not know this API at all: it is another Airflow by now. Airflow 3 answers 404 below
        /api/v1 with an `error`, Airflow 2 below /api/v2 with a page; a missing connection is told as `detail`."""
        return answer.status == 404 and not isinstance(answer.detail, str)

    def too_long(self, answer: Answer, sent: Mapping[str, str]) -> str | None:
        """Name what does not fit into the columns of an old Airflow, which only says 500 for it."""
        length = len(sent["password"])
        if answer.status < 500 or self.version >= (2, 8) or length <= PASSWORD_MAX:
            return None
        column = f"its column connection.password (VARCHAR(5000), encrypted) takes {PASSWORD_MAX} at most"
        return f"the token has {length} characters, and {column} before Airflow 2.8; widen it to TEXT, or upgrade"


AIRFLOW_3 = Dialect("/api/v2", basic=False)
AIRFLOW_2 = Dialect("/api/v1", basic=True)


def find(transport: Requests, authorization: Secret | None) -> Dialect:
    """Ask who is there, the newer one first. Raises Failed.

    The version needs no login of Airflow's own; a proxy before it may want the bearer token all the same.
    """
    refusals = []
    for dialect in (AIRFLOW_3, AIRFLOW_2):
        answer = transport.request("GET", f"{dialect.api}/version", authorization=authorization)
        if answer.done and (version := re.match(r"(\d+)\.(\d+)", str(answer.content.get("version")))):
            major, minor = int(version[1]), int(version[2])
            spoken = AIRFLOW_3 if major >= 3 else AIRFLOW_2  # Amazon's managed one answers either at one path
            return replace(spoken, version=(major, minor))
        if answer.status == 429 or answer.status >= 500:
            raise failure(transport.who, f"GET {dialect.api}/version", answer)
        refusals.append(answer)
    if all(answer.status == 404 for answer in refusals):
        raise Failed(
            Reason.INVALID,
            f"{transport.who} has no Airflow API ({AIRFLOW_3.api}, {AIRFLOW_2.api}: 404); correct the url, the path of"
            " a deployment included",
        )
    if refusals[0].refused(401, 403):
        words = f"wants a login even for GET {AIRFLOW_3.api}/version ({refusals[0].status}), as Airflow does not"
        mend = "correct the url, its path included, or give token_file or headers if a proxy before it wants those"
        raise Failed(Reason.DENIED, f"{transport.who} {words}; {mend}")
    raise failure(transport.who, f"GET {AIRFLOW_3.api}/version", refusals[0])
