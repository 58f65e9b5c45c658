"""Amazon's managed Airflow (MWAA): its REST API through AWS's `invoke_rest_api`, with AWS's rights as the login."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ....core.model import Failed, Reason, Secret
from ....core.plan import Mwaa
from ....core.printable import printable
from .answers import Answer, Body, Content
from .pace import Pace

# Makes one call by its boto3 name: gives the answer, or the error's response where AWS or Airflow refused.
Call = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]

EVERY_S = 0.125  # AWS throttles at about ten calls a second, and does not document it (apache/airflow#47035)


class MwaaTransport:
    """The way to one environment; thread-safe, as boto3's clients are."""

    def __init__(self, name: str, mwaa: Mwaa, call: Call) -> None:
        self._environment = mwaa.environment
        self._call = call
        self._pace = Pace(EVERY_S)
        self.who = f"Airflow '{name}' (MWAA environment {mwaa.environment} in {mwaa.region})"
        self._fix = (
            f"Allow airflow:InvokeRestApi on role/{mwaa.environment}/ROLE, where ROLE is an Airflow role with"
            " can_read, can_create and can_edit on Connections (Op has them)"
        )

    def request(self, method: str, path: str, body: Body = None, *, authorization: Secret | None = None) -> Answer:
        """Send one request, once. Raises Failed where Airflow itself gave no answer; no login of ours is sent."""
        del authorization
        bare = path.removeprefix("/api/v2").removeprefix("/api/v1")  # MWAA's paths have no API in front
        request: dict[str, Any] = {"Name": self._environment, "Path": bare, "Method": method}
        if body is not None:
            request["Body"] = body
        what = f"{method} {bare}"
        self._pace.wait(self.who)
        found = self._call(f"{self.who}: {what}", "invoke_rest_api", request)
        error = found.get("Error")
        if isinstance(error, Mapping) and error.get("Code") not in ("RestApiClientException", "RestApiServerException"):
            raise self._refused_by_aws(printable(str(error.get("Code"))[:80]), what)
        status = found.get("RestApiStatusCode")
        if not isinstance(status, int):
            message = f"{self.who} gave no status to {what}, so that is not MWAA's answer"
            raise Failed(Reason.INVALID, message, "Look for a proxy in between")
        if status in (401, 403):
            raise Failed(Reason.DENIED, f"{self.who} answered {status} to {what}", self._fix)
        try:
            content = msgspec.convert(found.get("RestApiResponse"), Content)
        except msgspec.ValidationError:
            content = None
        return Answer(status, content)

    def find(self, path: str, authorization: Secret | None) -> Answer:
        """GET the path of a version."""
        return self.request("GET", path, authorization=authorization)

    def _refused_by_aws(self, code: str, what: str) -> Failed:
        match code:
            case "AccessDeniedException" | "AccessDenied":
                reason, fix = Reason.DENIED, self._fix
            case "ResourceNotFoundException":
                reason, fix = Reason.INVALID, "Correct mwaa_environment, region or role_arn"
            case "ValidationException":
                reason, fix = Reason.INVALID, "Check that the environment is available, with Airflow 2.4 or newer"
            case "ThrottlingException" | "TooManyRequestsException":
                self._pace.rest(1.0, Reason.THROTTLED)
                reason, fix = Reason.THROTTLED, "Have fewer other clients call this environment's API, if this stays"
            case _:
                reason, fix = Reason.TRANSIENT, "Look at the environment's health in AWS's console, if this stays"
        return Failed(reason, f"{self.who}: AWS answered {code} to {what}", fix)
