"""What an Airflow answered, and which failure a bad answer is. No I/O.

Bodies are read and never quoted: Airflow 3 echoes the password in a 422.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import msgspec

from ....core import budgets
from ....core.model import Failed, Reason
from ....core.printable import printable

Body = Mapping[str, Any] | None  # of a request
RIGHTS = "can_read, can_create and can_edit on Connections (with the SimpleAuthManager: the role op)"


class Place(TypedDict, total=False):
    """What Airflow 3 says of one field that it refuses."""

    loc: list[str | int]


class Content(TypedDict, total=False):
    """What is used of an answer's JSON. The rest is not parsed: as objects it could take 30 times its size."""

    version: str | None
    access_token: str | None
    expires_in: bool | int | float | str | None
    error: str | None
    detail: str | list[Place] | None
    conn_type: str | None
    host: str | None
    login: str | None
    password: str | None
    port: int | str | None
    extra: str | None
    description: str | None


def read(raw: bytes, status: int) -> Content | None:
    """Read the body of an answer; None if it is no object, or none that an API of Airflow gives."""
    if status >= 400 and len(raw) > budgets.AIRFLOW_REFUSAL_MAX:
        return None
    try:
        return msgspec.json.decode(raw, type=Content)
    except (ValueError, msgspec.MsgspecError, RecursionError):  # the second is no ValueError in 0.18
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status, its JSON if it has any, and what its headers say."""

    status: int
    content: Content | None = field(default=None, repr=False)
    page: bool = False  # a web page
    target: str | None = field(default=None, repr=False)  # the whole URL that it redirects to
    redirects_to: str | None = None  # the same, fit to be shown
    retry_after_s: float | None = None
    wants_basic: bool = False  # its WWW-Authenticate names Basic

    @property
    def done(self) -> bool:
        """True where the server did what was asked, and answered as an API does."""
        return 200 <= self.status < 300 and isinstance(self.content, dict)

    @property
    def fields(self) -> Content:
        return self.content if isinstance(self.content, dict) else {}

    def refused(self, *statuses: int) -> bool:
        """True if the API itself, not a web page in front of it, answered with one of these."""
        return self.status in statuses and not self.page


def failure(who: str, what: str, answer: Answer, *, sent: Collection[str] = (), team: str | None = None) -> Failed:
    """Make the failure of an answer to `what` that is not what was asked for; `who` names the Airflow.

    `sent` are the names of the fields sent: only those are ever quoted from a body.
    """
    status, retry_after_s = answer.status, None
    said = f"{who} answered {status} to {what}"
    reason, fix = Reason.INVALID, "Check url, its path included"
    if answer.redirects_to is not None:
        said = f"{who} redirects {what} to {answer.redirects_to} ({status}), and a login is sent to no redirect"
        fix = "Give the API's final address as url, or exempt the API from it"
    elif status == 429:
        reason, said, retry_after_s = Reason.THROTTLED, f"{said}: too many requests", answer.retry_after_s
        fix = "Raise the limit on requests of the server or proxy that answers so, if this stays"
    elif status >= 500:
        reason, fix, retry_after_s = Reason.TRANSIENT, "Look into Airflow's own log", answer.retry_after_s
    elif answer.page:
        said = f"{who} answered {what} with a web page ({status}): the login page of a proxy, or a wrong path"
        fix = "Correct url, its path included, or have the proxy let the API pass without that page"
    elif status == 403:
        where = f" in the team {printable(team)}" if team is not None else ""
        reason, said, fix = Reason.DENIED, f"{said}: the user may not do that{where}", f"Grant the user {RIGHTS}{where}"
    elif status == 401:
        reason, said = Reason.DENIED, f"{said}: it wants a login"
        fix = "Give username and password_file, token_file, or client_id"
    elif status in (400, 422):
        said, fix = _refused_fields(f"{said}: ", answer.fields.get("detail"), sent)
    elif 200 <= status < 300:
        said, fix = f"{who} answered {what} with something other than a JSON object", "Correct url"
    return Failed(reason, said, fix, retry_after_s=retry_after_s)


def _refused_fields(said: str, detail: Any, sent: Collection[str]) -> tuple[str, str]:
    """Say which of the fields sent it refuses: Airflow 3 lists their places, Airflow 2 quotes a dictionary."""
    if isinstance(detail, list):
        places = [place.get("loc") for place in detail if isinstance(place, dict)]
        named = {part for place in places if isinstance(place, list) for part in place if isinstance(part, str)}
    else:
        text = detail if isinstance(detail, str) else ""
        named = set(re.findall(r"'(\w+)': \[", text))
        if re.match(r"The key '.*' has to be made of ", text, re.DOTALL):
            named.add("connection_id")
    if "team_name" in sent and not named & (set(sent) - {"team_name"}):
        # An Airflow without teams blames the body as a whole (3.3), or a field that it does not know (before). One
        # with teams that does not know this team names no field.
        return f"{said}it refuses team_name", "Leave team_name out unless [core] multi_team is on and the team exists"
    fields = [name for name in sent if name in named]
    if not fields:
        return f"{said}it names none of the fields sent", "Look into Airflow's own log"
    return f"{said}it refuses {', '.join(fields)}", f"Correct {', '.join(fields)}"
