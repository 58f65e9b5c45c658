"""The real tools of a pass: botocore, urllib3, the engine's client, and the two sinks, each bound to its slot."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ...core import wire
from ...core.model import Credential, Failed, Failure, Holding, Outcome
from ...core.plan import Airflow, Connection, DockerConfig, Engine, KubernetesSecret, Plan, Principal, Registry, Slot
from ..aws.clock import AwsClock
from ..files.secrets import read_secret
from ..net import engine
from ..net import proof as registry
from .refresh_pass import Sink

if TYPE_CHECKING:
    from ..aws.clients import Aws
    from ..net.trust import Trust
    from ..sinks.airflow.entry import Shape
    from ..sinks.docker.sink import DockerConfigSink
    from ..sinks.kubernetes.api_server import ApiServer
    from ..sinks.kubernetes.pull_secret import Connecting, PullSecret


class Connections(Protocol):
    """All connections of one Airflow, by whatever way."""

    def look(self, connection: Connection, host: str) -> Holding: ...
    def inspect(self, connection: Connection, host: str) -> Shape | None: ...
    def deliver(
        self, connection: Connection, host: str, credential: Credential, *, still_wanted: Callable[[Holding], bool]
    ) -> Outcome: ...


@dataclass(slots=True)
class RealTools:
    """What a pass acts with. One session for each profile, one login at each Airflow, one sink for each file."""

    plan: Plan
    clock: AwsClock
    report: Callable[[wire.Line], None]
    ends_at: float | None = None  # when the pass ends, on the boot clock
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    _aws: Aws | None = None
    _airflows: dict[str, Connections] = field(default_factory=dict)
    _dockers: dict[str, DockerConfigSink] = field(default_factory=dict)
    unlisted: dict[KubernetesSecret, Failure] = field(default_factory=dict)  # whose namespaces could not be listed
    _api_servers: dict[str | None, Connecting] = field(default_factory=dict)
    _secrets: dict[str, PullSecret] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _aws_lock: threading.Lock = field(default_factory=threading.Lock)

    def fetch(self, principal: Principal) -> Credential:
        from ..aws import ecr

        return ecr.fetch(self.aws(), self.clock, principal)

    def aws(self) -> Aws:
        """Sessions and clients; botocore is loaded by the first pass that fetches, not by one that only looks."""
        with self._aws_lock:
            if self._aws is None:
                from ..aws.clients import Aws

                self._aws = Aws(self.clock, self.ends_at)
            return self._aws

    def prove(self, tried: Registry, credential: Credential) -> None:
        registry.prove(tried, credential, self._trust(tried))

    def probe(self, tried: Registry, credential: Credential) -> None:
        registry.probe(tried, credential, self._trust(tried))

    def _trust(self, tried: Registry) -> Trust:
        return self.aws().trust_of(tried.principal.profile, tried.ca_file)

    def engine_login(self, tried: Engine, host: str, credential: Credential) -> None:
        engine.login(tried, host, credential)

    def sink(self, slot: Slot, wanted: Registry) -> Sink:
        if slot.kind == "docker":
            docker = next(docker for docker in self.plan.dockers if docker.sink == slot.sink)
            return _DockerSlot(self, docker, wanted.host)
        if slot.kind == "kubernetes":
            return self._kubernetes_slot(slot, wanted)
        for airflow in self.plan.airflows:
            for connection in airflow.connections:
                if airflow.sink(connection) == slot.sink:
                    return _AirflowSlot(self, airflow, connection, wanted.host)
        raise LookupError(slot.sink)

    def _kubernetes_slot(self, slot: Slot, wanted: Registry) -> Sink:
        """Raises Failed where the secret's namespaces are not known."""
        for entry in self.plan.kubernetes:
            for namespace in entry.places:
                if entry.sink(namespace) == slot.sink:
                    if entry.namespaces is None and entry in self.unlisted:
                        raise Failed.of(self.unlisted[entry])
                    return _KubernetesSlot(self.pull_secret(entry, namespace), wanted.host)
        raise LookupError(slot.sink)

    def pull_secret(self, entry: KubernetesSecret, namespace: str) -> PullSecret:
        """The one sink of this secret, for all its registries."""
        from ..sinks.kubernetes.pull_secret import PullSecret

        with self._lock:
            sink = entry.sink(namespace)
            if sink not in self._secrets:
                connecting = self._connecting(entry.kubeconfig)
                self._secrets[sink] = PullSecret(connecting, namespace, entry.secret, entry.service_accounts)
            return self._secrets[sink]

    def list_namespaces(self, entry: KubernetesSecret) -> tuple[str, ...]:
        """The namespaces that the entry's selector matches now. Raises Failed."""
        return self.api_server(entry).namespaces(entry.namespace_selector or "")

    def api_server(self, entry: KubernetesSecret) -> ApiServer:
        """The one client for its API server. Raises Failed."""
        with self._lock:
            connecting = self._connecting(entry.kubeconfig)
        return connecting.api()

    def _connecting(self, kubeconfig: str | None) -> Connecting:
        from ..sinks.kubernetes.pull_secret import Connecting

        return self._api_servers.setdefault(kubeconfig, Connecting(kubeconfig))

    def airflow(self, airflow: Airflow) -> Connections:
        """The one client for this Airflow; the first to ask loads the library, which takes a while."""
        with self._lock:
            if airflow.name not in self._airflows:
                self._airflows[airflow.name] = self._open(airflow)
            return self._airflows[airflow.name]

    def _open(self, airflow: Airflow) -> Connections:
        if airflow.secrets_file is not None:
            from ..sinks.airflow.backends.secrets_file import SecretsFileSink

            return SecretsFileSink(airflow.secrets_file)
        if airflow.secrets_manager is not None:
            from ..aws.calls import AwsCalls
            from ..sinks.airflow.backends.secrets_manager import SecretsManagerSink

            manager = airflow.secrets_manager
            return SecretsManagerSink(manager, AwsCalls(self.aws, "secretsmanager", manager.region, manager.role_arn))
        if airflow.parameter_store is not None:
            from ..aws.calls import AwsCalls
            from ..sinks.airflow.backends.parameter_store import ParameterStoreSink

            store = airflow.parameter_store
            return ParameterStoreSink(store, AwsCalls(self.aws, "ssm", store.region, store.role_arn))
        from ..sinks.airflow.api import AirflowSink

        if airflow.mwaa is not None:
            from ..aws.calls import AwsCalls

            calls = AwsCalls(self.aws, "mwaa", airflow.mwaa.region, airflow.mwaa.role_arn)
            return AirflowSink(
                airflow,
                read_secret=read_secret,
                invoke=lambda doing, request: calls(doing, "invoke_rest_api", request),
            )
        return AirflowSink(airflow, read_secret=read_secret)

    def docker(self, docker: DockerConfig) -> DockerConfigSink:
        from ..sinks.docker.sink import DockerConfigSink

        if docker.config_file not in self._dockers:
            self._dockers[docker.config_file] = DockerConfigSink(docker, environ=self.environ)
        return self._dockers[docker.config_file]


class _DockerSlot:
    """One registry's entry in one `config.json`."""

    def __init__(self, tools: RealTools, docker: DockerConfig, host: str) -> None:
        self._sink = tools.docker(docker)
        self._clock = tools.clock
        self._host = host

    def look(self) -> Holding:
        return self._sink.look(self._host, self._clock.now())

    def deliver(self, credential: Credential, _wanted: Callable[[Holding], bool]) -> tuple[Outcome, str | None]:
        delivery = self._sink.deliver(self._host, credential)
        return delivery.outcome, delivery.witness


class _AirflowSlot:
    """One Airflow connection. The client is made in the slot's own thread: others need not wait for its library."""

    def __init__(self, tools: RealTools, airflow: Airflow, connection: Connection, host: str) -> None:
        self._tools, self._airflow, self._connection, self._host = tools, airflow, connection, host

    def look(self) -> Holding:
        return self._tools.airflow(self._airflow).look(self._connection, self._host)

    def deliver(self, credential: Credential, wanted: Callable[[Holding], bool]) -> tuple[Outcome, str | None]:
        sink = self._tools.airflow(self._airflow)
        return sink.deliver(self._connection, self._host, credential, still_wanted=wanted), None


class _KubernetesSlot:
    """One registry's entry in one pull secret."""

    def __init__(self, secret: PullSecret, host: str) -> None:
        self._secret, self._host = secret, host

    def look(self) -> Holding:
        return self._secret.look(self._host)

    def deliver(self, credential: Credential, wanted: Callable[[Holding], bool]) -> tuple[Outcome, str | None]:
        outcome = self._secret.deliver(self._host, credential, wanted)
        self._secret.attach()
        return outcome, None

    def attach(self) -> None:
        self._secret.attach()
