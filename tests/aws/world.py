"""ECR, STS and a registry's front as one world; what `once` brings from the one to the other."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.testbed.daemon import Finished
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.registry_front import RegistryFront
from tests.testbed.standins.serving import Exchange, Reply, StandIn
from tests.testbed.standins.tokens import TokenBook

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PARTNER = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
HUB = "arn:aws:iam::123456789012:role/hub"
PULL = "arn:aws:iam::210987654321:role/ecr-pull"
BASE_KEY = "AKIAIOSFODNN7EXAMPLE"
NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}

RunCli = Callable[..., Finished]


@dataclass
class World:
    """The stand-ins, and one command line to run against them."""

    directory: Path
    book: TokenBook
    ecr: EcrStandIn
    front: RegistryFront
    run_cli: RunCli
    sts_url: str = field(default="")

    @property
    def config_file(self) -> Path:
        return self.directory / "docker" / "config.json"

    def once(self, *registries: Mapping[str, Any], env: Mapping[str, str] | None = None, **more: Any) -> Finished:
        """`ecr-refresher once --json`; each registry is proved at the front."""
        settings = {
            "registries": [{"registry_url": self.front.url, **registry} for registry in registries],
            "docker": {"config_file": str(self.config_file)},
        }
        surroundings = {"AWS_ENDPOINT_URL_STS": self.sts_url or self.ecr.url, **(env or {})}
        return self.run_cli("once", "--json", settings=settings, ecr_url=self.ecr.url, env=surroundings, **more)

    def delivered(self) -> dict[str, str | None]:
        """Host -> whom the token in its entry was issued to."""
        auths = json.loads(self.config_file.read_text())["auths"] if self.config_file.exists() else {}
        passwords = {host: base64.b64decode(e["auth"]).decode().partition(":")[2] for host, e in auths.items()}
        return {host: self.book.principal_of(password) for host, password in passwords.items()}

    def proved(self) -> dict[str, str | None]:
        """Host -> whom the token was issued to that the registry's front took for it."""
        return {login.host: login.principal for login in self.front.logins if login.verdict == "ok"}

    def who_asked(self) -> list[str]:
        """The role (or base key) and region of each call for a token."""
        calls = [call for call in self.ecr.calls if call.action == "GetAuthorizationToken"]
        return [f"{self.ecr.sts.who(call.access_key)} {call.region}" for call in calls]

    def landed(self, host: str) -> str:
        """The access key whose token stands in the file and was taken at the front, both under this host alone."""
        (delivered,) = self.delivered().items()
        assert delivered == (host, self.proved()[host])
        assert delivered[1] is not None
        return delivered[1].partition("/")[0]


class Metadata(StandIn):
    """Hands out base keys: as IMDSv2 (a token by PUT first), ECS's container endpoint, or EKS Pod Identity's."""

    def __init__(self, secrets_seen: Secrets, authorization: str | None = None) -> None:
        super().__init__()
        self.key = "ASIAMETADATA" + "".join(secrets.choice("ABCDEFGH") for _ in range(8))
        self.session_token = secrets_seen.add(secrets.token_urlsafe(60))
        self.secret_key = secrets_seen.add(secrets.token_urlsafe(30))
        self.imds_token = secrets_seen.add(secrets.token_urlsafe(30))
        self.authorization = authorization
        self.asked: list[str] = []

    def respond(self, exchange: Exchange) -> None:
        self.asked.append(f"{exchange.command} {exchange.path}")
        match exchange.path:
            case "/latest/api/token" if exchange.command == "PUT":
                exchange.send(Reply(200, self.imds_token.encode(), "text/plain"))
            case "/latest/meta-data/iam/security-credentials/" if self._has_token(exchange):
                exchange.send(Reply(200, b"worker-role", "text/plain"))
            case "/latest/meta-data/iam/security-credentials/worker-role" if self._has_token(exchange):
                exchange.send(self._keys())
            case "/credentials" if exchange.headers.get("Authorization") == self.authorization:
                exchange.send(self._keys())
            case _:
                exchange.send(Reply(401))

    def _has_token(self, exchange: Exchange) -> bool:
        return exchange.headers.get("X-aws-ec2-metadata-token") == self.imds_token

    def _keys(self) -> Reply:
        given = {"Code": "Success", "AccessKeyId": self.key, "SecretAccessKey": self.secret_key}
        return Reply.json(200, {**given, "Token": self.session_token, "Expiration": "2099-01-01T00:00:00Z"})


def secrets_of(book: TokenBook, ecr: EcrStandIn) -> Iterator[str]:
    for token in book.all_issued():
        yield from (token.password, token.authorization_token)
    yield from ecr.sts.secrets()
