"""A real Airflow behind Keycloak's own auth manager; only Keycloak itself is a stand-in."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import parse_qs

import pytest

from ecr_refresher.core.model import Holding, Outcome, Reason
from ecr_refresher.core.plan import Client as Credentials
from tests.integration.airflow_client import PASSWORD, Client, token
from tests.integration.conftest import Airflows
from tests.testbed import parts
from tests.testbed.airflow import Airflow
from tests.testbed.airflow_flavours import SIMPLE
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.serving import Exchange, Reply, StandIn

pytestmark = pytest.mark.real("airflow")
MANAGER = "airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager"
ID = "airflow"


class Keycloak(StandIn):
    """What the auth manager asks of a realm: tokens for its client, who that is, and what it may do."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self.secret = secret
        self.forbids: set[str] = set()
        self.permissions: list[str] = []

    def respond(self, exchange: Exchange) -> None:
        form = parse_qs(exchange.body().decode())
        path = exchange.path.partition("?")[0]
        if path.endswith("/openid-connect/userinfo"):
            exchange.send(
                Reply.json(200, {"sub": "a-service-account", "preferred_username": "service-account-airflow"})
            )
        elif "uma-ticket" in form.get("grant_type", [""])[0]:
            self.permissions += form["permission"]
            allowed = not self.forbids & set(form["permission"])
            exchange.send(Reply.json(200, {"result": True}) if allowed else Reply.json(403, {"error": "access_denied"}))
        elif form.get("client_id") == [ID] and form.get("client_secret") == [self.secret]:
            exchange.send(Reply.json(200, {"access_token": _jwt(), "expires_in": 300}))
        else:
            exchange.send(Reply.json(401, {"error": "invalid_client"}))


def _jwt() -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"sub": "a-service-account", "exp": 4_000_000_000}).encode()).decode()
    return f"eyJhbGciOiJub25lIn0.{claims.rstrip('=')}."


@pytest.fixture
def keycloak(secrets_seen: Secrets) -> Iterator[Keycloak]:
    with Keycloak(secrets_seen.add(secrets.token_urlsafe(20))) as keycloak:
        yield keycloak
    assert keycloak.crashes == []


@pytest.fixture
def managed(airflows: Airflows, keycloak: Keycloak) -> Iterator[Airflow]:
    if reason := SIMPLE.missing():
        parts.give_up(reason)
    section = "AIRFLOW__KEYCLOAK_AUTH_MANAGER__"
    settings = {"CLIENT_ID": ID, "CLIENT_SECRET": keycloak.secret, "REALM": "airflow", "SERVER_URL": keycloak.url}
    named = {f"{section}{name}": value for name, value in settings.items()}
    with closing(airflows.new(SIMPLE, AIRFLOW__CORE__AUTH_MANAGER=MANAGER, **named)) as airflow:
        airflow.start()
        yield airflow


def test_client_credentials_open_it_and_wrong_ones_are_one_refused_login(
    managed: Airflow, keycloak: Keycloak, secrets_seen: Secrets
) -> None:
    client = Client(managed, username=None, password=None, client=Credentials(ID, PASSWORD))
    client.secrets[PASSWORD.where] = keycloak.secret
    for _ in range(2):
        new = token(seen=secrets_seen)
        assert client.deliver(new) == Outcome.WRITTEN
        assert client.look() == Holding(new.expires_at)
    assert {"Connection#GET", "Connection#POST", "Connection#PUT"} <= set(keycloak.permissions)

    for who, secret in ((ID, "not-the-secret"), ("another-client", keycloak.secret)):
        wrong = Client(managed, username=None, password=None, client=Credentials(who, PASSWORD))
        wrong.secrets[PASSWORD.where] = secrets_seen.add(secret)
        found = wrong.failure()
        assert (found.reason, found.login_refused) == (Reason.DENIED, True)
        assert f"refuses the client {who} with the secret in the file {PASSWORD.where} (403)" in found.message

    keycloak.forbids = {"Connection#PUT"}
    lacking = Client(managed, username=None, password=None, client=Credentials(ID, PASSWORD))
    lacking.secrets[PASSWORD.where] = keycloak.secret
    refused = lacking.failure()
    assert (refused.reason, refused.login_refused) == (Reason.DENIED, False)
