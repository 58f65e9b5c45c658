"""What an Airflow answered, and what a bad answer comes to: a reason, and a message with the mend. No I/O here.

Bodies are looked into and never shown: Airflow 3 echoes the password in a 422.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from ....core.model import Failed, Reason

RIGHTS = "can_read, can_create and can_edit on Connections (with the SimpleAuthManager: the role op)"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status, its JSON if it had any, whether it was a web page, the origin it redirects to."""

    status: int
    content: Any = field(default=None, repr=False)
    page: bool = False
    redirects_to: str | None = None

    @property
    def done(self) -> bool:
        """True where the server did what was asked, and answered as an API does."""
        return 200 <= self.status < 300 and isinstance(self.content, dict)

    @property
    def detail(self) -> Any:
        return self.content.get("detail") if isinstance(self.content, dict) else None

    def refused(self, *statuses: int) -> bool:
        """True if the API itself, not a page before it, answered with one of these."""
        return self.status in statuses and not self.page


def failure(who: str, what: str, answer: Answer, sent: Collection[str] = ()) -> Failed:
    """Make the error of an answer that nobody wants: `who` (an Airflow) did not do `what`; `sent` are the fields sent.

    Only names out of `sent` are ever quoted from a body, so that nothing else can slip out of it.
    """
    status = answer.status
    if answer.redirects_to is not None:
        words = f"redirects {what} to {answer.redirects_to} ({status}), where no login of ours is sent"
        return Failed(Reason.INVALID, f"{who} {words}; give the API's final address as url, or let the API pass there")
    if status == 429:
        return Failed(Reason.THROTTLED, f"{who} asks for fewer requests (429 to {what})")
    if status >= 500:
        return Failed(Reason.TRANSIENT, f"{who} answered {status} to {what}; its own log says why")
    if answer.page:
        words = f"answered {what} with a web page ({status}): the login page of a proxy, or a wrong path"
        return Failed(
            Reason.INVALID, f"{who} {words}; correct the url, its path included, or let the API pass without that page"
        )
    if status == 403:
        team = ", in the team of its team_name too" if "team_name" in sent else ""
        return Failed(Reason.DENIED, f"{who} forbids {what} (403); grant the user {RIGHTS}{team}")
    if status == 401:
        return Failed(Reason.DENIED, f"{who} wants a login for {what}; give username and password_file, or token_file")
    if status in (400, 422):
        return Failed(Reason.INVALID, f"{who} does not accept {what} ({status}): {_fault(answer.detail, sent)}")
    if 200 <= status < 300:
        return Failed(Reason.INVALID, f"{who} answered {what} with something else than a JSON object; correct the url")
    return Failed(Reason.INVALID, f"{who} answered {status} to {what}; is the url right, its path included?")


def _fault(detail: Any, sent: Collection[str]) -> str:
    """Say which of the fields sent were refused: Airflow 3 lists their places, Airflow 2 quotes a dictionary."""
    if isinstance(detail, list):
        places = [place.get("loc") for place in detail if isinstance(place, dict)]
        named = {part for place in places if isinstance(place, list) for part in place if isinstance(part, str)}
    else:
        text = detail if isinstance(detail, str) else ""
        named = set(re.findall(r"'(\w+)': \[", text))
        if re.match(r"The key '.*' has to be made of ", text, re.DOTALL):
            named.add("connection_id")
    if "team_name" in sent and not named & (set(sent) - {"team_name"}):
        # An Airflow without teams blames the body as a whole (3.3), or a field that it does not know (before); one
        # with teams that does not know this one names no field.
        return "see team_name; leave it out unless this Airflow has [core] multi_team on and knows the team"
    fields = [name for name in sent if name in named]
    return f"see {', '.join(fields)}" if fields else "it names no field of ours; its own log may say more"
