"""One Kubernetes API server, through the official client: who asks, how long it may take, and what its errors mean.

Bodies of answers are never shown: a 422 may quote the secret that was sent.
"""

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import kubernetes.config
import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from ....core import budgets
from ....core.loopback import is_loopback
from ....core.model import Failed, Reason
from ...files.paths import locate, others_may_write
from ...net import http
from ...net.proxies import login_headers, proxy_for
from ...net.trust import Trust
from . import answers, document

TIMEOUTS_S = (3.05, 10.0)  # to connect, and to wait for an answer
CONNECTIONS = 16
LIMITS = http.Limits(*TIMEOUTS_S, total_s=20.0, answer_max=budgets.KUBERNETES_ANSWER_MAX)
PAGE = 50  # namespaces in one answer: each may have long annotations
DNS_LABEL = re.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TRY_IT = "Try it with `kubectl --kubeconfig … auth can-i list secrets`"
Send = Callable[..., Any]  # a method of the client
MERGE = "application/merge-patch+json"
CONFLICT, NOT_FOUND, FORBIDDEN = 409, 404, 403


class ApiServer:
    """Calls of one API server as one identity; thread-safe. The identity's token is read anew for each pass."""

    def __init__(self, kubeconfig: str | None) -> None:
        """Find the server and the identity. Raises Failed."""
        settings = client.Configuration()
        settings.retries = urllib3.Retry(total=False)  # the schedule is the only retry layer
        settings.connection_pool_maxsize = CONNECTIONS
        _find(kubeconfig, settings)
        if not settings.verify_ssl:
            what = f"the kubeconfig turns off the verification of TLS with {settings.host}"
            raise Failed(Reason.INVALID, what, "Put certificate-authority there in place of insecure-skip-tls-verify")
        if settings.host.startswith("http://") and not is_loopback(urlsplit(settings.host).hostname or ""):
            what = f"the kubeconfig sends its token to {settings.host} without TLS"
            raise Failed(Reason.INVALID, what, "Name the API server by https:// there")
        settings.proxy = proxy = proxy_for(settings.host)
        settings.proxy_headers = login_headers(proxy) if proxy else None
        settings.no_proxy = None
        self.url = settings.host
        self.who = f"the Kubernetes API server {self.url}"
        rest: Any = client.ApiClient(settings)
        named_by = "the kubeconfig, or the ServiceAccount's ca.crt"
        trust = Trust(settings.ssl_ca_cert, named_by, fix=f"Correct the CA of {named_by}")
        rest.rest_client.pool_manager = http.Bounded(rest.rest_client.pool_manager, self.who, trust, LIMITS)
        self._api: client.ApiClient = rest
        self._core: Any = client.CoreV1Api(self._api)  # bodies are plain dictionaries, which its types do not know

    # --- secrets -----------------------------------------------------------------------------------------------------
    def secret(self, namespace: str, name: str) -> document.Content | None:
        """The secret; None if there is none. Raises Failed."""
        what = f"get secrets/{name} in namespace {namespace}"
        ask = partial(self._core.read_namespaced_secret, name, namespace)
        found: document.Content | None = self._call(what, document.Content, ask, ignored=(NOT_FOUND,))
        return found

    def patch_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> bool:
        """Patch it; False if it has changed since it was read, or has gone. Raises Failed."""
        return self._patch(self._core.patch_namespaced_secret, "secrets", name, namespace, body)

    def create_secret(self, namespace: str, name: str, body: Mapping[str, Any]) -> bool:
        """Create it; False if it exists by now. Raises Failed."""
        what = f"create secrets in namespace {namespace} ({name})"
        create = partial(self._core.create_namespaced_secret, namespace, body)
        return self._call(what, answers.Written, create, (CONFLICT,), namespace) is not None

    # --- ServiceAccounts ---------------------------------------------------------------------------------------------
    def pull_secrets(self, namespace: str, account: str) -> tuple[str, list[str]] | None:
        """The ServiceAccount's resourceVersion and imagePullSecrets; None if there is no such one. Raises Failed."""
        what = f"get serviceaccounts/{account} in namespace {namespace}"
        ask = partial(self._core.read_namespaced_service_account, account, namespace)
        found = self._call(what, answers.ServiceAccount, ask, ignored=(NOT_FOUND,))
        if found is None:
            return None
        return found.metadata.resource_version, [entry.name for entry in found.image_pull_secrets or ()]

    def set_pull_secrets(self, namespace: str, account: str, version: str, names: list[str]) -> bool:
        """Write the whole list, which is atomic; False if the account has changed since it was read. Raises Failed."""
        body = {"metadata": {"resourceVersion": version}, "imagePullSecrets": [{"name": name} for name in names]}
        return self._patch(self._core.patch_namespaced_service_account, "serviceaccounts", account, namespace, body)

    def _patch(self, patch: Send, kind: str, name: str, namespace: str, body: Mapping[str, Any]) -> bool:
        what = f"patch {kind}/{name} in namespace {namespace}"
        send = partial(patch, name, namespace, body, _content_type=MERGE)
        return self._call(what, answers.Written, send, ignored=(CONFLICT, NOT_FOUND)) is not None

    # --- namespaces and rights ---------------------------------------------------------------------------------------
    def namespaces(self, selector: str, most: int = budgets.SELECTED_MAX) -> tuple[str, ...]:
        """The names of the namespaces that match a label selector and are not being deleted. Raises Failed."""
        found: list[str] = []
        ask, more = partial(self._core.list_namespace, label_selector=selector, limit=PAGE), ""
        for _ in range(most // PAGE + 1):
            page = self._call("list namespaces", answers.Namespaces, partial(ask, _continue=more) if more else ask)
            names = [one.metadata.name for one in page.items if one.metadata.deletion_timestamp is None]
            if not all(map(DNS_LABEL.fullmatch, names)):
                what = f"{self.who} lists namespaces with a name that Kubernetes does not allow"
                raise Failed(Reason.INVALID, what, "See whether it is a Kubernetes API server")
            found += names
            more = page.metadata.continue_
            if not more or len(found) > most:
                break
        if more or len(found) > most:
            what = f"{self.who} has more than {most} namespaces that match {selector}: too many for one selector"
            fix = "Name the namespaces, or share them out among entries by narrower selectors"
            raise Failed(Reason.INVALID, what, fix)
        return tuple(sorted(found))

    def may(self, verb: str, resource: str, namespace: str | None, name: str | None = None) -> bool:
        """Whether the identity may do this, by the API server's own judgement. Raises Failed."""
        attributes = {"verb": verb, "resource": resource, "namespace": namespace, "name": name}
        review = {"spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}}}
        api: Any = client.AuthorizationV1Api(self._api)
        ask = partial(api.create_self_subject_access_review, review)
        return bool(self._call("create selfsubjectaccessreviews", answers.Review, ask).status.allowed)

    def version(self) -> str:
        """The server's version, e.g. `v1.33.1`. Raises Failed."""
        return str(self._call("get /version", answers.Version, client.VersionApi(self._api).get_code).git_version)

    def who_am_i(self) -> str | None:
        """The name by which the server knows the identity; None where it is older than 1.28 and can't say."""
        api, body = client.AuthenticationV1Api(self._api), client.V1SelfSubjectReview()
        ask = partial(api.create_self_subject_review, body)
        unknown = (NOT_FOUND, FORBIDDEN)  # an older one forbids what it does not know
        answer = self._call("create selfsubjectreviews", answers.Review, ask, unknown)
        return answer.status.user_info.username or None if answer else None

    def _call(self, what: str, type_: type[Any], send: Send, ignored: Sequence[int] = (), namespace: str = "") -> Any:
        """What the server answers, as this type; None for an `ignored` status. A 404 means: no such `namespace`.

        Raises Failed. The client's own error, which holds the answer's body, is not attached.
        """
        try:
            answer = send(_request_timeout=TIMEOUTS_S, _preload_content=False)
            return answers.read(answer.data, type_)
        except (Failed, MemoryError):
            raise
        except ApiException as error:
            if error.status in ignored:
                return None
            raise self._refused(what, error.status or 0, error.headers or {}, namespace) from None
        except OSError as error:
            said = f"the identity for {self.who} can't be read: {error.strerror or type(error).__name__}"
            raise Failed(Reason.TRANSIENT, said, "See the token's file, or what else the kubeconfig names") from None
        except Exception as error:  # noqa: BLE001 - an answer that the client can't read; its text may quote the secret
            said = f"{self.who} gave an answer that makes no sense: {what} ({type(error).__name__})"
            raise Failed(Reason.INVALID, said, "See whether it is a Kubernetes API server") from None

    def _refused(self, what: str, status: int, headers: Mapping[str, str], namespace: str) -> Failed:
        reason, said, fix = Reason.INVALID, f"answered {status}: {what}", "See an admission webhook, or the audit log"
        if status == 401:
            reason, said = Reason.DENIED, "does not accept the identity (401)"
            fix = "Renew the kubeconfig's token, or mount a current token of the ServiceAccount"
        elif status == 403:
            reason, said, fix = Reason.DENIED, f"forbids: {what} (403)", f"Grant it by a Role: {what}"
        elif status == 404 and namespace:
            reason, said = Reason.MISSING, f"has no namespace {namespace}"
            fix = "Create it, or take it out of the settings"
        elif status == 422:
            said = f"does not accept the change (422): {what}"
            fix = "If the secret is immutable, delete it: the next pass creates it again"
        elif status == 429:
            reason, said = Reason.THROTTLED, "asks for fewer requests (429)"
            fix = "Nothing to do: it is tried again after the pause that the server asks for"
        elif status >= 500:
            reason, fix = Reason.TRANSIENT, "See the API server's own log"
        return Failed(reason, f"{self.who} {said}", fix, retry_after_s=http.retry_after_s(headers))


def _find(kubeconfig: str | None, settings: client.Configuration) -> None:
    """The pod's own ServiceAccount, else the usual kubeconfig; or the one that is named. Raises Failed."""
    config: Any = kubernetes.config  # its functions have no types
    in_cluster = kubeconfig is None and bool(os.environ.get("KUBERNETES_SERVICE_HOST"))
    where = "the pod's ServiceAccount" if in_cluster else kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    for path in () if in_cluster else where.split(os.pathsep) if kubeconfig is None else (where,):
        _check(path)
    try:
        if in_cluster:
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(kubeconfig, client_configuration=settings, persist_config=False)
    except ConfigException:
        what = f"{where} names no Kubernetes API server, or no identity"
        fix = "Mount a ServiceAccount's token (automountServiceAccountToken), or name a kubeconfig that works"
        raise Failed(Reason.MISSING, what, fix) from None
    except OSError as error:
        what = f"{where}: {error.strerror or type(error).__name__}"
        raise Failed(Reason.MISSING, what, "Make the file readable") from None
    except Exception as error:  # noqa: BLE001 - parsers and exec plugins raise what they like, and may quote
        what = f"{where} is not a kubeconfig that can be used ({type(error).__name__})"
        raise Failed(Reason.INVALID, what, _TRY_IT) from None
    if settings.host.startswith("https:") and not (settings.api_key or settings.cert_file or settings.username):
        what = f"{where} gives no identity for {settings.host}"  # the client only logs that an exec plugin has failed
        raise Failed(Reason.MISSING, what, f"{_TRY_IT}; a plugin must be installed, and log in without a terminal")


def _check(kubeconfig: str) -> None:
    """Refuse what is no regular file, and, as root, what another user may change. Raises Failed."""
    path = locate(os.path.abspath(os.path.expanduser(kubeconfig))).path
    try:
        seen = os.stat(path)
    except OSError:
        return  # the client says why
    if not stat.S_ISREG(seen.st_mode):  # reading a fifo would wait for its writer
        raise Failed(Reason.INVALID, f"{kubeconfig} is not a regular file", "Name a kubeconfig file")
    if os.geteuid() == 0 and others_may_write(path, seen):
        what = f"{kubeconfig}: another user than root may change it, and it may name a program, which root would run"
        raise Failed(Reason.DENIED, what, f"Let only root write it: chown root {path}; chmod go-w {path}")
