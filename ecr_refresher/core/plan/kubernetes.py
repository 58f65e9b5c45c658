"""Pull secrets of Kubernetes."""

from ..model import Record

IN_CLUSTER = "in-cluster"


class KubernetesSecret(Record, frozen=True):
    """One pull secret, the same in several namespaces: `kubernetes.io/dockerconfigjson` with a login per registry.

    With a `namespace_selector`, `namespaces` is None until a worker has asked the API server which ones match. The
    worker then reports the plan with them, and does so again at each verification.
    """

    secret: str
    registries: tuple[str, ...]
    namespaces: tuple[str, ...] | None
    namespace_selector: str | None = None
    service_accounts: tuple[str, ...] = ()  # that get the secret added to their imagePullSecrets
    kubeconfig: str | None = None  # None: the pod's own ServiceAccount, else the usual kubeconfig
    required: bool = True

    @property
    def group(self) -> str:
        """The API server that its slots share."""
        return f"kubernetes:{self.kubeconfig or IN_CLUSTER}"

    def sink(self, namespace: str) -> str:
        return f"kubernetes/{namespace}/{self.secret}"

    @property
    def places(self) -> tuple[str, ...]:
        """The namespaces; while they are not known, the selector in their place."""
        return (self.namespace_selector or "",) if self.namespaces is None else self.namespaces
