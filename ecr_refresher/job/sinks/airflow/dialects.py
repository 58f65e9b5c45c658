"""What differs between Airflow 3 and Airflow 2, and which of them answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ....core.model import Failed, Reason, Secret
from .answers import Answer, failure
from .mwaa import MwaaTransport
from .transport import Transport

PASSWORD_MAX = 3679  # characters; encrypted they fill the VARCHAR(5000) of Airflow before 2.8 (TEXT since)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one Airflow is spoken to."""

    api: str  # its path under the Airflow's URL
    basic: bool  # the password goes with each call; otherwise it buys a token first
    version: tuple[int, int] = (0, 0)

    def login_spent(self, answer: Answer) -> bool:
        """True where a login that was good no longer is: it has expired, or the server's key has changed."""
        if answer.refused(401):
            return True
        # Airflow 3 says so with 403, not 401, where the signature does not fit (core_api/security.py).
        return not self.basic and answer.refused(403) and answer.fields.get("detail") == "Invalid JWT token"

    def is_unknown_to(self, answer: Answer) -> bool:
        """True where the server has no such API, so it is another Airflow by now.

        Airflow 3 answers 404 below /api/v1 with an `error`, Airflow 2 below /api/v2 with a page. A missing connection
        has a `detail`.
        """
        return answer.status == 404 and not isinstance(answer.fields.get("detail"), str)

    def too_long(self, answer: Answer, sent: Mapping[str, str]) -> tuple[str, str] | None:
        """Say what does not fit into the columns of an old Airflow, and the fix: it answers a bare 500 to it."""
        length = len(sent["password"])
        if answer.status < 500 or self.version >= (2, 8) or length <= PASSWORD_MAX:
            return None
        column = f"its column connection.password (VARCHAR(5000), encrypted) takes {PASSWORD_MAX}"
        return f"the token has {length} characters and {column}", "Widen the column to TEXT, or upgrade to Airflow 2.8"


AIRFLOW_3 = Dialect("/api/v2", basic=False)
AIRFLOW_2 = Dialect("/api/v1", basic=True)


def find(transport: Transport | MwaaTransport, authorization: Secret | None, given: str) -> Dialect:
    """Ask who is there, the newer one first. Raises Failed.

    The version needs no login of Airflow's own; a proxy in front of it may want the bearer token all the same. `given`
    names what the request carries, for the message where even that is refused.
    """
    refusals = []
    for dialect in (AIRFLOW_3, AIRFLOW_2):
        answer = transport.find(f"{dialect.api}/version", authorization)
        if answer.done and (version := re.match(r"(\d{1,4})\.(\d{1,4})", answer.fields.get("version") or "", re.ASCII)):
            major, minor = int(version[1]), int(version[2])  # MWAA answers either at one path
            return replace(AIRFLOW_3 if major >= 3 else AIRFLOW_2, version=(major, minor))
        if answer.status == 429 or answer.status >= 500:
            raise failure(transport.who, f"GET {dialect.api}/version", answer)
        refusals.append(answer)
    first, path = refusals[0], f"GET {AIRFLOW_3.api}/version"
    if all(answer.status == 404 for answer in refusals):
        message = f"{transport.who} has no Airflow API ({AIRFLOW_3.api}, {AIRFLOW_2.api}: 404)"
        raise Failed(Reason.INVALID, message, "Correct url, the path of a deployment included")
    if not first.refused(401, 403):
        raise failure(transport.who, path, first)
    if given:
        message = f"{transport.who} answered {first.status} to {path} in spite of {given}: expired, or not its own"
        raise Failed(Reason.DENIED, message, "Renew what was given, or correct url")
    message = f"{transport.who} answered {first.status} to {path}, which Airflow itself gives to everybody"
    raise Failed(Reason.DENIED, message, "Correct url, or give token_file or headers if a proxy in front wants those")
