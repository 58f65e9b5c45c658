"""Amazon's managed Airflow (MWAA): its REST API through AWS's `invoke_rest_api`, with AWS's rights as the login."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ....core.model import Failed, Reason, Secret
from ....core.plan import Airflow
from .answers import Answer

# What `invoke_rest_api(**request)` gives: its answer, or the error's response where AWS or Airflow refused.
Invoke = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


class MwaaTransport:
    """The way to one environment; thread-safe, as botocore's clients are."""

    def __init__(self, airflow: Airflow, invoke: Invoke) -> None:
        if airflow.mwaa is None:
            raise ValueError("no MWAA environment")
        self._mwaa = airflow.mwaa
        self._invoke = invoke
        self.who = f"Airflow '{airflow.name}' (MWAA environment {self._mwaa.environment} in {self._mwaa.region})"

    def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, authorization: Secret | None = None
    ) -> Answer:
        """Send one request, once. Raises Failed where Airflow itself gave no answer; no login of ours is sent."""
        del authorization
        # Its paths have no /api/v1 or /api/v2 in front; queries go apart.
        way = path.removeprefix("/api/v2").removeprefix("/api/v1")
        request: dict[str, Any] = {"Name": self._mwaa.environment, "Path": way, "Method": method}
        if body is not None:
            request["Body"] = body
        found = self._invoke(f"{self.who}: {method} {way}", request)
        error = found.get("Error")
        if isinstance(error, Mapping) and error.get("Code") not in ("RestApiClientException", "RestApiServerException"):
            raise self._refused_by_aws(str(error.get("Code"))[:80], f"{method} {way}")
        status = found.get("RestApiStatusCode")
        if not isinstance(status, int):
            raise Failed(Reason.INVALID, f"{self.who} gave no status to {method} {way}; that is no answer of MWAA")
        if status == 403:
            raise Failed(Reason.DENIED, f"{self.who} forbids {method} {way} (403); {self._mend}")
        return Answer(status, found.get("RestApiResponse"))

    def close(self) -> None:
        """Nothing is open: the client belongs to the session of the pass."""

    def _refused_by_aws(self, code: str, what: str) -> Failed:
        if code in ("AccessDeniedException", "AccessDenied"):
            return Failed(Reason.DENIED, f"{self.who}: AWS forbids {what} ({code}); {self._mend}")
        if code == "ResourceNotFoundException":
            words = "is not there; correct mwaa_environment, region or role_arn"
            return Failed(Reason.INVALID, f"{self.who} {words}")
        if code == "ValidationException":
            words = f"AWS does not accept {what} ({code}); is the environment of Airflow 2.4 or newer, and available?"
            return Failed(Reason.INVALID, f"{self.who}: {words}")
        return Failed(Reason.TRANSIENT, f"{self.who}: AWS answered {what} with {code}; tried again")

    @property
    def _mend(self) -> str:
        return (
            f"allow airflow:InvokeRestApi on role/{self._mwaa.environment}/ROLE, where ROLE is an Airflow role with"
            " can_read, can_create and can_edit on Connections (Op has them)"
        )
