"""One Kubernetes API server, through the official client: who asks, how long it may take, and what its errors mean.

Bodies of answers are never shown: a 422 may quote the secret that was sent.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import kubernetes.config
import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from ....core import budgets
from ....core.model import Failed, Reason
from ...net import http
from ...net.proxies import proxy_for
from . import document
from .document import Content

TIMEOUTS_S = (3.05, 10.0)  # to connect, and to wait for an answer
CONNECTIONS = 16
LIMITS = http.Limits(*TIMEOUTS_S, total_s=20.0, answer_max=budgets.KUBERNETES_ANSWER_MAX)
PAGE = 250  # namespaces in one answer
PAGES_MAX = 40
MERGE = "application/merge-patch+json"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
CONFLICT, NOT_FOUND, FORBIDDEN = 409, 404, 403


class _Bounded:
    """The client's connections, but an answer has a largest size. The client itself reads, and unpacks, any."""

    def __init__(self, pool: Any, who: str) -> None:
        self._pool, self._who = pool, who

    def request(self, method: str, url: str, **how: Any) -> urllib3.HTTPResponse:
        ends_at = time.monotonic() + LIMITS.total_s
        response = self._pool.request(method, url, **how)
        body = http.read(response, LIMITS, ends_at, self._who)
        return urllib3.HTTPResponse(body, response.headers, response.status, reason=response.reason)


class ApiServer:
    """Calls of one API server as one identity; thread-safe. The identity's token is read anew for each pass."""

    def __init__(self, kubeconfig: str | None) -> None:
        """Find the server and the identity. Raises Failed."""
        settings = client.Configuration()
        settings.retries = urllib3.Retry(total=False)  # the schedule is the only retry layer
        settings.connection_pool_maxsize = CONNECTIONS
        self._find(kubeconfig, settings)
        if not settings.verify_ssl:
            raise Failed(
                Reason.INVALID,
                f"the kubeconfig turns off the verification of TLS with {settings.host}",
                "Put certificate-authority there in place of insecure-skip-tls-verify",
            )
        if settings.host.startswith("http://") and urlsplit(settings.host).hostname not in LOOPBACK:
            raise Failed(
                Reason.INVALID,
                f"the kubeconfig sends its token to {settings.host} without TLS",
                "Name the API server by https:// there",
            )
        settings.proxy = proxy_for(settings.host)
        settings.no_proxy = None
        self.url = settings.host
        self.who = f"the Kubernetes API server {self.url}"
        api: Any = client.ApiClient(settings)
        api.rest_client.pool_manager = _Bounded(api.rest_client.pool_manager, self.who)
        self._core: Any = client.CoreV1Api(api)  # bodies are plain dictionaries, which its types do not know
        self._access: Any = client.AuthorizationV1Api(api)
        self._api = api

    @staticmethod
    def _find(kubeconfig: str | None, settings: client.Configuration) -> None:
        """The pod's own ServiceAccount, else the usual kubeconfig; or the one that is named. Raises Failed."""
        where = kubeconfig or "the pod's ServiceAccount"
        config: Any = kubernetes.config  # its functions have no types
        if kubeconfig is not None and os.path.exists(kubeconfig) and not os.path.isfile(kubeconfig):
            what = f"{kubeconfig} is not a regular file"  # reading a fifo would wait for its writer
            raise Failed(Reason.INVALID, what, "Name a kubeconfig file")
        try:
            if kubeconfig is None and os.environ.get("KUBERNETES_SERVICE_HOST"):
                config.load_incluster_config(client_configuration=settings)
            else:
                where = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
                config.load_kube_config(kubeconfig, client_configuration=settings, persist_config=False)
        except ConfigException:
            problem = Failed(
                Reason.MISSING,
                f"{where} names no Kubernetes API server, or no identity",
                "Mount a ServiceAccount's token (automountServiceAccountToken), or name a kubeconfig that works",
            )
        except OSError as error:
            problem = Failed(
                Reason.MISSING, f"{where}: {error.strerror or type(error).__name__}", "Make the file readable"
            )
        except Exception as error:  # noqa: BLE001 - parsers and exec plugins raise what they like, and may quote
            problem = Failed(
                Reason.INVALID,
                f"{where} is not a kubeconfig that can be used ({type(error).__name__})",
                "Try it with `kubectl --kubeconfig … auth can-i list secrets`",
            )
        else:
            return
        raise problem

    # --- secrets -----------------------------------------------------------------------------------------------------
    def secret(self, namespace: str, name: str) -> Content | None:
        """The secret; None if there is none. Raises Failed."""
        what = f"get secrets/{name} in namespace {namespace}"
        found = self._found(what, self._core.read_namespaced_secret, name, namespace)
        if found is None:
            return None
        return document.read(found.type or "", found.metadata.resource_version, found.metadata.annotations, found.data)

    def patch_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> bool:
        """Patch it; False if it has changed since it was read, or has gone. Raises Failed."""
        return self._written(
            f"patch secrets/{name} in namespace {namespace}",
            self._core.patch_namespaced_secret,
            name,
            namespace,
            body,
            _content_type=MERGE,
        )

    def create_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> bool:
        """Create it; False if it exists by now. Raises Failed."""
        what = f"create secrets in namespace {namespace}"
        with self._explained(f"{what} ({name})", NOT_FOUND):
            try:
                self._core.create_namespaced_secret(namespace, body, _request_timeout=TIMEOUTS_S)
            except ApiException as error:
                if error.status == CONFLICT:
                    return False
                raise
        return True

    # --- ServiceAccounts ---------------------------------------------------------------------------------------------
    def pull_secrets(self, namespace: str, account: str) -> tuple[str, list[str]] | None:
        """The ServiceAccount's resourceVersion and imagePullSecrets; None if there is no such one. Raises Failed."""
        what = f"get serviceaccounts/{account} in namespace {namespace}"
        found = self._found(what, self._core.read_namespaced_service_account, account, namespace)
        if found is None:
            return None
        return found.metadata.resource_version, [entry.name for entry in found.image_pull_secrets or ()]

    def set_pull_secrets(self, namespace: str, account: str, version: str, names: list[str]) -> bool:
        """Write the whole list, which is atomic; False if the account has changed since it was read. Raises Failed."""
        body = {"metadata": {"resourceVersion": version}, "imagePullSecrets": [{"name": name} for name in names]}
        what = f"patch serviceaccounts/{account} in namespace {namespace}"
        patch = self._core.patch_namespaced_service_account
        return self._written(what, patch, account, namespace, body, _content_type=MERGE)

    # --- namespaces and rights ---------------------------------------------------------------------------------------
    def namespaces(self, selector: str) -> tuple[str, ...]:
        """The names of the namespaces that match a label selector and are not being deleted. Raises Failed."""
        found: list[str] = []
        more: str | None = None
        for _ in range(PAGES_MAX):
            next_page = {"_continue": more} if more else {}
            with self._explained("list namespaces"):
                page = self._core.list_namespace(
                    label_selector=selector, limit=PAGE, _request_timeout=TIMEOUTS_S, **next_page
                )
            found += [one.metadata.name for one in page.items if one.metadata.deletion_timestamp is None]
            more = page.metadata._continue if page.metadata else None
            if not more:
                break
        return tuple(sorted(found))

    def may(self, verb: str, resource: str, namespace: str | None, name: str | None = None) -> bool:
        """Whether the identity may do this, by the API server's own judgement. Raises Failed."""
        attributes = {"verb": verb, "resource": resource, "namespace": namespace, "name": name}
        review = {"spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}}}
        with self._explained("create selfsubjectaccessreviews"):
            answer = self._access.create_self_subject_access_review(review, _request_timeout=TIMEOUTS_S)
        return bool(answer.status and answer.status.allowed)

    def version(self) -> str:
        """The server's version, e.g. `v1.33.1`. Raises Failed."""
        with self._explained("get /version"):
            return str(client.VersionApi(self._api).get_code(_request_timeout=TIMEOUTS_S).git_version)

    def who_am_i(self) -> str | None:
        """The name by which the server knows the identity; None where it is older than 1.28 and can't say."""
        with self._explained("create selfsubjectreviews"):
            try:
                answer = client.AuthenticationV1Api(self._api).create_self_subject_review(
                    client.V1SelfSubjectReview(), _request_timeout=TIMEOUTS_S
                )
            except ApiException as error:
                if error.status in (NOT_FOUND, FORBIDDEN):  # an older one forbids what it does not know
                    return None
                raise
        user = answer.status.user_info if answer.status else None
        return str(user.username) if user and user.username else None

    def _found(self, what: str, get: Callable[..., Any], *where: str) -> Any:
        with self._explained(what):
            try:
                return get(*where, _request_timeout=TIMEOUTS_S)
            except ApiException as error:
                if error.status == NOT_FOUND:
                    return None
                raise

    def _written(self, what: str, write: Callable[..., Any], *where: Any, **how: Any) -> bool:
        with self._explained(what):
            try:
                write(*where, _request_timeout=TIMEOUTS_S, **how)
            except ApiException as error:
                if error.status in (CONFLICT, NOT_FOUND):
                    return False
                raise
        return True

    @contextmanager
    def _explained(self, what: str, *missing: int) -> Iterator[None]:
        """Raise what goes wrong as Failed; the client's own error, which holds the answer's body, is not attached."""
        try:
            yield
        except Failed as error:
            failed = error
        except ApiException as error:
            failed = self._refused(what, error.status or 0, _retry_after_s(error.headers), gone=error.status in missing)
        except urllib3.exceptions.SSLError:
            failed = Failed(
                Reason.INVALID, f"{self.who}: its certificate is not trusted", "Correct the CA in the kubeconfig"
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            failed = Failed(
                Reason.TRANSIENT,
                f"{self.who} did not answer: {what} ({type(error).__name__})",
                "Check the network path to it: NetworkPolicies, HTTPS_PROXY and NO_PROXY",
            )
        except Exception as error:  # noqa: BLE001 - an answer that the client can't read; its text may quote the secret
            failed = Failed(
                Reason.INVALID, f"{self.who} gave an answer that makes no sense: {what} ({type(error).__name__})",
                "See whether it is a Kubernetes API server",
            )  # fmt: skip
        else:
            return
        raise failed

    def _refused(self, what: str, status: int, retry_after_s: float | None, *, gone: bool) -> Failed:
        if gone:
            namespace = what.rpartition("namespace ")[2].partition(" ")[0]
            return Failed(
                Reason.MISSING, f"{self.who} has no namespace {namespace}", "Create it, or take it out of the settings"
            )
        if status == 401:
            return Failed(
                Reason.DENIED, f"{self.who} does not accept the identity (401)",
                "Renew the token of the kubeconfig, or mount the ServiceAccount's token afresh",
            )  # fmt: skip
        if status == 403:
            return Failed(Reason.DENIED, f"{self.who} forbids: {what} (403)", f"Grant it by a Role: {what}")
        if status == 429:
            fix = "Nothing to do: it is tried again after the pause that the server asks for"
            return Failed(
                Reason.THROTTLED, f"{self.who} asks for fewer requests (429)", fix, retry_after_s=retry_after_s
            )
        if status >= 500:
            fix = "See the API server's own log"
            return Failed(Reason.TRANSIENT, f"{self.who} answered {status}: {what}", fix, retry_after_s=retry_after_s)
        if status == 422:
            fix = "See whether the secret is immutable; delete it then, and it is made anew"
            return Failed(Reason.INVALID, f"{self.who} does not accept the change (422): {what}", fix)
        return Failed(
            Reason.INVALID, f"{self.who} answered {status}: {what}", "See an admission webhook, or the audit log"
        )


def _retry_after_s(headers: Any) -> float | None:
    value = str((headers or {}).get("Retry-After") or "")
    return float(value) if re.fullmatch(r"\d{1,5}", value) else None
