"""The real tools of a pass: AWS, the registries, the engine, and each slot's sink."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ...core import budgets, wire
from ...core.model import Credential, Failed, Failure, Holding, Outcome, Reason
from ...core.plan import Airflow, DockerConfig, KubernetesSecret, Plan, Principal, Registry, Role, Slot
from ..aws.clock import AwsClock, not_to_set_the_clock
from ..blocking import MadeOnce
from ..files.secrets import read_secret
from ..net import engine
from ..net import proof as registry
from .refresh_pass import Sink

if TYPE_CHECKING:
    from ..aws.clients import Aws
    from ..net.trust import Trust
    from ..sinks.airflow.api import AirflowSink
    from ..sinks.airflow.backends.aws_stores import AwsStore
    from ..sinks.airflow.backends.secrets_file import SecretsFileSink
    from ..sinks.airflow.mwaa import Call
    from ..sinks.docker.sink import DockerConfigSink
    from ..sinks.kubernetes.api_server import ApiServer
    from ..sinks.kubernetes.pull_secret import PullSecret

    Connections = AirflowSink | AwsStore | SecretsFileSink  # of one Airflow, by whatever way

IDENTITY_S = 20.0  # for a kubeconfig's exec plugin


class RealTools:
    """What a pass acts with: one client for each principal, one login at each Airflow, one sink for each file.

    Libraries are loaded by the first slot that needs them, in its own thread.
    """

    def __init__(self, plan: Plan, clock: AwsClock, report: wire.Report, ends_at: float | None = None) -> None:
        """`ends_at` is when the pass ends, on the boot clock."""
        self.plan, self.clock, self.report, self.ends_at = plan, clock, report, ends_at
        self._environ = dict(os.environ)  # before it is changed for docker-py
        self.unlisted: dict[KubernetesSecret, Failure] = {}  # whose namespaces could not be listed
        self._made = MadeOnce()  # what slots share

    def fetch(self, principal: Principal) -> Credential:
        from ..aws import ecr

        return ecr.fetch(self.aws(), self.clock, principal)

    def own_host(self, principal: Principal) -> str:
        """The host of the caller's own registry. Raises Failed."""
        from ..aws import ecr

        return ecr.own_host(self.aws(), principal)

    def aws(self) -> Aws:
        """All calls of AWS."""
        from ..aws.clients import Aws

        return self._made.get("AWS", lambda: Aws(self.clock, self.ends_at, not_to_set_the_clock(self.plan)))

    def prove(self, tried: Registry, credential: Credential) -> None:
        registry.prove(tried, credential, self._trust(tried))

    def probe(self, tried: Registry, credential: Credential) -> None:
        registry.probe(tried, credential, self._trust(tried))

    def _trust(self, tried: Registry) -> Trust:
        return self.aws().trust_of(tried.principal.profile, tried.ca_file)

    engine_login = staticmethod(engine.login)

    def sink(self, slot: Slot, wanted: Registry) -> Sink:
        """The sink of a slot. Raises Failed where the namespaces of its secret are not known."""
        host = wanted.host
        if slot.kind == "docker":
            file = next(docker for docker in self.plan.dockers if docker.sink == slot.sink)
            return _Place(
                lambda: self.docker(file).look(host, self.clock.now()),
                lambda credential, _: self.docker(file).deliver(host, credential),
            )
        if slot.kind == "airflow":
            pairs = ((airflow, one) for airflow in self.plan.airflows for one in airflow.connections)
            airflow, connection = next((airflow, one) for airflow, one in pairs if airflow.sink(one) == slot.sink)

            def write(credential: Credential, still_wanted: Callable[[Holding], bool]) -> tuple[Outcome, None]:
                return self.airflow(airflow).deliver(connection, host, credential, still_wanted=still_wanted), None

            return _Place(lambda: self.airflow(airflow).look(connection, host), write)
        places = ((entry, place) for entry in self.plan.kubernetes for place in entry.places)
        entry, namespace = next((entry, place) for entry, place in places if entry.sink(place) == slot.sink)
        if entry.namespaces is None and entry in self.unlisted:
            raise Failed.of(self.unlisted[entry])
        secret = partial(self.pull_secret, entry, namespace)

        def put(credential: Credential, still_wanted: Callable[[Holding], bool]) -> tuple[Outcome, None]:
            outcome = secret().deliver(host, credential, still_wanted)
            secret().attach()
            return outcome, None

        return _Place(lambda: secret().look(host), put, lambda: secret().attach())

    def docker(self, docker: DockerConfig) -> DockerConfigSink:
        """The one sink of this file, for all its registries."""
        from ..sinks.docker.sink import DockerConfigSink

        return self._made.get(docker.sink, lambda: DockerConfigSink(docker, environ=self._environ))

    def pull_secret(self, entry: KubernetesSecret, namespace: str) -> PullSecret:
        """The one sink of this secret, for all its registries."""
        from ..sinks.kubernetes.pull_secret import PullSecret

        api = partial(self.api_server, entry)
        make = partial(PullSecret, api, namespace, entry.secret, entry.service_accounts)
        return self._made.get(entry.sink(namespace), make)

    def list_namespaces(self, entry: KubernetesSecret) -> tuple[str, ...]:
        """The namespaces that the entry's selector matches now. Raises Failed."""
        most = budgets.SELECTED_MAX // len(entry.registries)  # each of them is a slot in each namespace
        return self.api_server(entry).namespaces(entry.namespace_selector or "", most)

    def api_server(self, entry: KubernetesSecret) -> ApiServer:
        """The one client for its API server. Raises Failed."""
        from ..sinks.kubernetes.api_server import ApiServer

        try:
            return self._made.get(entry.group, lambda: ApiServer(entry.kubeconfig), IDENTITY_S)
        except TimeoutError:
            what = f"the identity of {entry.kubeconfig} was not found within {IDENTITY_S:.0f} s"
            raise Failed(Reason.TRANSIENT, what, "See whether the exec plugin of the kubeconfig hangs") from None

    def airflow(self, airflow: Airflow) -> Connections:
        """The one client for this Airflow."""
        return self._made.get(airflow.group, lambda: self._open(airflow))

    def _open(self, airflow: Airflow) -> Connections:
        if airflow.secrets_file is not None:
            from ..sinks.airflow.backends.secrets_file import SecretsFileSink

            return SecretsFileSink(airflow.secrets_file)
        if manager := airflow.secrets_manager:
            from ..sinks.airflow.backends.aws_stores import SecretsManagerSink

            return SecretsManagerSink(manager, self._calls("secretsmanager", manager.region, manager.role_arn))
        if store := airflow.parameter_store:
            from ..sinks.airflow.backends.aws_stores import ParameterStoreSink

            return ParameterStoreSink(store, self._calls("ssm", store.region, store.role_arn))
        from ..sinks.airflow.api import AirflowSink

        call = self._calls("mwaa", mwaa.region, mwaa.role_arn) if (mwaa := airflow.mwaa) else None
        return AirflowSink(airflow, read_secret=read_secret, call=call)

    def _calls(self, service: str, region: str, role_arn: str | None) -> Call:
        """Calls of a service that lead into an Airflow: refusals are answers, whose codes the sink knows."""
        from ..aws.errors import Doing

        principal = Principal("ecr", region, (Role(role_arn),) if role_arn else ())

        def call(doing: str, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
            return self.aws().call(Doing(doing, region), principal, service, operation, refusals=True, **request)

        return call


@dataclass(frozen=True, slots=True)
class _Place:
    """A slot's place in its sink, which is made at its first use."""

    look: Callable[[], Holding]
    deliver: Callable[[Credential, Callable[[Holding], bool]], tuple[Outcome, str | None]]
    attach: Callable[[], None] | None = None
