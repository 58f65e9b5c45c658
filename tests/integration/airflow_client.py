"""Clients of our adapter for a real Airflow, as the worker makes them, with secrets from a dictionary."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest
from msgspec import structs

from ecr_refresher.core.model import Credential, Failed, Failure, Holding, Secret
from ecr_refresher.core.plan import Airflow as Planned
from ecr_refresher.core.plan import Connection, SecretRef
from ecr_refresher.job.sinks.airflow.api import AirflowSink
from tests.testbed.airflow import Airflow
from tests.testbed.registry import HOST
from tests.testbed.secret_hunt import Secrets

DOCKER = Connection("docker_default", HOST)
PASSWORD, TOKEN, HEADER = (SecretRef("file", f"/run/secrets/{name}") for name in ("password", "token", "header"))


class Client:
    """One sink; its password is `oper`'s, unless told otherwise."""

    def __init__(self, airflow: Airflow, *, user: str = "oper", **changes: Any) -> None:
        self.secrets = {PASSWORD.where: airflow.passwords[user]}
        planned = Planned("prod", airflow.url, (DOCKER,), username=user, password=PASSWORD)
        self.planned = structs.replace(planned, **changes)
        self.sink = AirflowSink(self.planned, read_secret=self.read)

    def read(self, ref: SecretRef) -> Secret:
        return Secret(self.secrets[ref.where])

    def look(self, connection: Connection = DOCKER) -> Holding:
        return self.sink.look(connection, HOST)

    def deliver(self, credential: Credential, connection: Connection = DOCKER) -> str:
        return self.sink.deliver(connection, HOST, credential, still_wanted=lambda _: True)

    def failure(self, connection: Connection = DOCKER) -> Failure:
        """What comes of a look followed by a delivery."""

        def act() -> None:
            self.look(connection)
            self.deliver(token(), connection)

        with pytest.raises(Failed) as caught:
            act()
        for secret in self.secrets.values():
            assert secret not in str(caught.value.failure)
        return caught.value.failure


def by_token(airflow: Airflow, bearer: str, **changes: Any) -> Client:
    client = Client(airflow, username=None, password=None, token=TOKEN, **changes)
    client.secrets[TOKEN.where] = bearer
    return client


def token(life_s: float = 43_200.0, seen: Secrets | None = None) -> Credential:
    """A token of ECR's length."""
    text = secrets.token_urlsafe(1900)
    if seen is not None:
        seen.add(text)
    now = float(int(time.time()))
    return Credential("AWS", Secret(text), now, now + life_s)
