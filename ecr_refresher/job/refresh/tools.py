"""The real tools of a pass: AWS, the registries, the engine, and each slot's sink."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

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


T = TypeVar("T")


class Connections(Protocol):
    """All connections of one Airflow, by whatever way."""

    def look(self, connection: Connection, host: str) -> Holding: ...
    def inspect(self, connection: Connection, host: str) -> Shape | None: ...
    def deliver(
        self, connection: Connection, host: str, credential: Credential, *, still_wanted: Callable[[Holding], bool]
    ) -> Outcome: ...


class Shared(Generic[T]):
    """Things that slots share. The first thread that asks for one makes it; others wait for that one only."""

    def __init__(self) -> None:
        self._locks: dict[str | None, threading.Lock] = defaultdict(threading.Lock)
        self._made: dict[str | None, T] = {}

    def get(self, key: str | None, make: Callable[[], T]) -> T:
        with self._locks[key]:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]


class RealTools:
    """What a pass acts with: one client for each principal, one login at each Airflow, one sink for each file.

    Libraries are loaded by the first slot that needs them, in its own thread.
    """

    def __init__(
        self,
        plan: Plan,
        clock: AwsClock,
        report: Callable[[wire.Line], None],
        ends_at: float | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`ends_at` is when the pass ends, on the boot clock."""
        self.plan, self.clock, self.report, self.ends_at = plan, clock, report, ends_at
        self.environ = dict(os.environ) if environ is None else environ  # before it is changed for docker-py
        self.unlisted: dict[KubernetesSecret, Failure] = {}  # whose namespaces could not be listed
        self._aws: Shared[Aws] = Shared()
        self._airflows: Shared[Connections] = Shared()
        self._files: Shared[DockerConfigSink] = Shared()
        self._api_servers: Shared[Connecting] = Shared()
        self._pull_secrets: Shared[PullSecret] = Shared()

    def fetch(self, principal: Principal) -> Credential:
        from ..aws import ecr

        return ecr.fetch(self.aws(), self.clock, principal)

    def own_host(self, principal: Principal) -> str:
        """The host of the caller's own registry. Raises Failed."""
        from ..aws import ecr

        return ecr.own_host(self.aws(), principal)

    def aws(self) -> Aws:
        """Sessions and clients."""
        from ..aws.clients import Aws

        return self._aws.get("", lambda: Aws(self.clock, self.ends_at))

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
                    return _KubernetesSlot(partial(self.pull_secret, entry, namespace), wanted.host)
        raise LookupError(slot.sink)

    def pull_secret(self, entry: KubernetesSecret, namespace: str) -> PullSecret:
        """The one sink of this secret, for all its registries."""
        from ..sinks.kubernetes.pull_secret import PullSecret

        connecting = self._connecting(entry.kubeconfig)
        return self._pull_secrets.get(
            entry.sink(namespace), lambda: PullSecret(connecting, namespace, entry.secret, entry.service_accounts)
        )

    def list_namespaces(self, entry: KubernetesSecret) -> tuple[str, ...]:
        """The namespaces that the entry's selector matches now. Raises Failed."""
        return self.api_server(entry).namespaces(entry.namespace_selector or "")

    def api_server(self, entry: KubernetesSecret) -> ApiServer:
        """The one client for its API server. Raises Failed."""
        return self._connecting(entry.kubeconfig).api()

    def _connecting(self, kubeconfig: str | None) -> Connecting:
        from ..sinks.kubernetes.pull_secret import Connecting

        return self._api_servers.get(kubeconfig, lambda: Connecting(kubeconfig))

    def airflow(self, airflow: Airflow) -> Connections:
        """The one client for this Airflow."""
        return self._airflows.get(airflow.name, lambda: self._open(airflow))

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
        """The one sink of this file, for all its registries."""
        from ..sinks.docker.sink import DockerConfigSink

        return self._files.get(docker.config_file, lambda: DockerConfigSink(docker, environ=self.environ))


class _DockerSlot:
    """One registry's entry in one `config.json`."""

    def __init__(self, tools: RealTools, docker: DockerConfig, host: str) -> None:
        self._tools, self._docker, self._host = tools, docker, host

    def look(self) -> Holding:
        return self._tools.docker(self._docker).look(self._host, self._tools.clock.now())

    def deliver(self, credential: Credential, _wanted: Callable[[Holding], bool]) -> tuple[Outcome, str | None]:
        delivery = self._tools.docker(self._docker).deliver(self._host, credential)
        return delivery.outcome, delivery.witness


class _AirflowSlot:
    """One Airflow connection."""

    def __init__(self, tools: RealTools, airflow: Airflow, connection: Connection, host: str) -> None:
        self._tools, self._airflow, self._connection, self._host = tools, airflow, connection, host

    def look(self) -> Holding:
        return self._tools.airflow(self._airflow).look(self._connection, self._host)

    def deliver(self, credential: Credential, wanted: Callable[[Holding], bool]) -> tuple[Outcome, str | None]:
        sink = self._tools.airflow(self._airflow)
        return sink.deliver(self._connection, self._host, credential, still_wanted=wanted), None


class _KubernetesSlot:
    """One registry's entry in one pull secret."""

    def __init__(self, secret: Callable[[], PullSecret], host: str) -> None:
        self._secret, self._host = secret, host

    def look(self) -> Holding:
        return self._secret().look(self._host)

    def deliver(self, credential: Credential, wanted: Callable[[Holding], bool]) -> tuple[Outcome, str | None]:
        outcome = self._secret().deliver(self._host, credential, wanted)
        self.attach()
        return outcome, None

    def attach(self) -> None:
        self._secret().attach()
