"""AWS services that our stand-ins of ECR don't cover: MWAA before a real Airflow, and Secrets Manager.

Every request is checked by botocore's own model of the service, so that what passes here has the form that AWS wants.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.validate import ParamValidator

from tests.testbed.airflow import Airflow
from tests.testbed.standins.serving import Exchange, Reply, StandIn


class ModelledService(StandIn):
    """A service whose requests are validated by the model; what does not fit is a crash, and fails the test."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._model = botocore.session.get_session().get_service_model(service)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuses: str | None = None  # an error's code, for every call

    def validated(self, operation: str, given: dict[str, Any]) -> dict[str, Any]:
        """Note a call, and refuse what its input shape does not allow."""
        shape: Any = self._model.operation_model(operation).input_shape
        report = ParamValidator().validate(given, shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        for name, value in given.items():
            member = shape.members[name]
            assert not getattr(member, "enum", None) or value in member.enum, f"{operation}: {name} is none of its enum"
            longest = member.metadata.get("max")
            if isinstance(value, str) and longest is not None:  # botocore leaves this to the service
                assert len(value) <= longest, f"{operation}: {name} has more than {longest} characters"
        self.calls.append((operation, given))
        return given

    def refuse(self, exchange: Exchange, code: str, status: int = 400, **content: Any) -> None:
        body = {"__type": code, "message": "refused", **content}
        exchange.send(
            Reply(status, json.dumps(body).encode(), "application/x-amz-json-1.1", {"x-amzn-ErrorType": code})
        )


class MwaaStandIn(ModelledService):
    """`invoke_rest_api` of one environment, backed by a real Airflow; the caller has the rights of its `oper`."""

    def __init__(self, airflow: Airflow, environment: str = "prod-airflow") -> None:
        super().__init__("mwaa")
        self.airflow, self.environment = airflow, environment
        self.user = "oper"
        self.answers: int | None = None  # the status of every answer of Airflow, in place of its own
        self.per_second: float | None = None  # more calls than this are throttled, as AWS does it
        self.throttled = 0
        self._spare, self._at = 0.0, 0.0
        self._counting = threading.Lock()

    def respond(self, exchange: Exchange) -> None:
        body = json.loads(exchange.body() or b"{}")
        assert exchange.headers["Authorization"].startswith("AWS4-HMAC-SHA256 "), "an unsigned request"
        name = unquote(exchange.path.removeprefix("/restapi/"))
        asked = self.validated("InvokeRestApi", {"Name": name, **body})
        if self.refuses is not None:
            self.refuse(exchange, self.refuses, 403 if self.refuses == "AccessDeniedException" else 400)
            return
        if name != self.environment:
            self.refuse(exchange, "ResourceNotFoundException", 404)
            return
        if not self._within_rate():
            self.refuse(exchange, "ThrottlingException", 429)
            return
        if self.answers is not None:
            content: dict[str, Any] = {"RestApiStatusCode": self.answers, "RestApiResponse": {"detail": "no"}}
            self.refuse(exchange, "RestApiClientException", **content)
            return
        login = self.airflow.login(self.user)
        path = self.airflow.flavour.api + asked["Path"]
        status, answer = self.airflow.request(asked["Method"], path, asked.get("Body"), login)
        content = {"RestApiStatusCode": status, "RestApiResponse": answer}
        if status < 400:
            exchange.send(Reply.json(200, content))
        else:
            self.refuse(exchange, "RestApiClientException" if status < 500 else "RestApiServerException", **content)

    def _within_rate(self) -> bool:
        """A bucket of one second's calls, which fills at `per_second`."""
        if self.per_second is None:
            return True
        with self._counting:
            now = time.monotonic()
            self._spare = min(self.per_second, self._spare + (now - self._at) * self.per_second)
            self._at = now
            if self._spare < 1.0:
                self.throttled += 1
                return False
            self._spare -= 1.0
            return True


class SecretsManagerStandIn(ModelledService):
    """Secrets by name."""

    def __init__(self) -> None:
        super().__init__("secretsmanager")
        self.secrets: dict[str, str] = {}

    def respond(self, exchange: Exchange) -> None:
        operation = exchange.headers["X-Amz-Target"].removeprefix("secretsmanager.")
        asked = self.validated(operation, json.loads(exchange.body()))
        name = str(asked.get("SecretId") or asked.get("Name"))
        if self.refuses is not None:
            self.refuse(exchange, self.refuses)
        elif operation == "CreateSecret" and name in self.secrets:
            self.refuse(exchange, "ResourceExistsException")
        elif operation != "CreateSecret" and name not in self.secrets:
            self.refuse(exchange, "ResourceNotFoundException")
        elif operation == "PutSecretValue" and "SecretString" not in asked:
            self.refuse(exchange, "InvalidParameterException")
        else:
            if operation in ("CreateSecret", "PutSecretValue"):
                self.secrets[name] = asked["SecretString"]
            arn = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf"
            answer = {"ARN": arn, "Name": name, "VersionId": str(uuid.uuid4())}
            if operation == "GetSecretValue":
                answer["SecretString"] = self.secrets[name]
            exchange.send(Reply.json(200, answer))
