"""Pull secrets on a real API server: created, renewed in place, repaired, and nothing of anybody else's touched."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGUSR1
from typing import Any

import pytest

from tests.integration.conftest import available
from tests.testbed import parts
from tests.testbed.daemon import Daemon, Product
from tests.testbed.kubernetes import ADMIN, ApiServer
from tests.testbed.processes import Record, wait_until
from tests.testbed.relay import Relay
from tests.testbed.secret_hunt import Secrets
from tests.testbed.standins.honest.ecr import EcrStandIn
from tests.testbed.standins.tokens import TokenBook

pytestmark = [pytest.mark.real("kubernetes"), pytest.mark.xdist_group("kubernetes")]
HOST, PARTNER = "123456789012.dkr.ecr.us-east-1.amazonaws.com", "210987654321.dkr.ecr.us-east-1.amazonaws.com"
NAME = "ecr-pull"
LIFE_S = 60


@pytest.fixture(scope="module")
def server(record: Record, tmp_path_factory: pytest.TempPathFactory, secrets_seen: Secrets) -> Iterator[ApiServer]:
    users = {secrets_seen.add(f"token-of-{name}-{time.time_ns()}"): name for name in ("publisher", "nobody")}
    made = available(
        parts.missing_kubernetes(), lambda: ApiServer(record, tmp_path_factory.mktemp("kubernetes"), users)
    )
    with contextlib.ExitStack() as stack:
        stack.callback(made.stop)
        made.start()
        yield made


@pytest.fixture
def book(secrets_seen: Secrets) -> TokenBook:
    book = TokenBook(life_s=LIFE_S)
    secrets_seen.follow(
        lambda: [form for token in book.all_issued() for form in (token.password, token.authorization_token)]
    )
    return book


@pytest.fixture
def namespace(server: ApiServer, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = f"t{abs(hash(request.node.name)) % 10**8}-{time.time_ns() % 10**6}"
    server.namespace(name)
    return name


def settings(server: ApiServer, *namespaces: str, token: str = ADMIN, **more: Any) -> dict[str, Any]:
    entry = {"secret": NAME, "namespaces": list(namespaces), "kubeconfig": str(server.kubeconfig(token))}
    return {"registries": [HOST], "kubernetes": {**entry, **more}, "refresh": {"prove": False}}


def sink(namespace: str) -> str:
    return f"kubernetes/{namespace}/{NAME}"


def password(server: ApiServer, namespace: str, host: str = HOST) -> str:
    """The password by which a kubelet would log in now; empty where there is none."""
    entry = server.config(namespace, NAME).get("auths", {}).get(host, {})
    return base64.b64decode(entry.get("auth", "")).decode().partition(":")[2]


def written(daemon: Daemon, namespace: str) -> float:
    return daemon.metrics().value("ecr_refresher_delivery_attempts_total", sink=sink(namespace))


def renew(daemon: Daemon, namespace: str) -> None:
    before = written(daemon, namespace)
    daemon.signal(SIGUSR1)
    wait_until(lambda: written(daemon, namespace) > before, 30, "a renewal")


def test_it_is_created_and_renewed_in_place_without_a_moment_without_a_valid_login(
    server: ApiServer, namespace: str, book: TokenBook, ecr: EcrStandIn, product: Product
) -> None:
    daemon = product.start_daemon(settings(server, namespace), ecr_url=ecr.url)
    daemon.wait_for(lambda status: status["ready"])
    created = server.secret(namespace, NAME)
    assert created is not None
    assert created["type"] == "kubernetes.io/dockerconfigjson"
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.add(book.check("AWS", password(server, namespace)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        tokens = {password(server, namespace)}
        for _ in range(3):
            renew(daemon, namespace)
            tokens.add(password(server, namespace))
    finally:
        over.set()
        watcher.join()
    assert seen == {"ok"}
    assert len(tokens) == 4
    renewed = server.secret(namespace, NAME)
    assert renewed is not None
    assert renewed["metadata"]["uid"] == created["metadata"]["uid"]
    slot = daemon.slot(sink(namespace))
    assert (slot["kind"], slot["outcome"]) == ("kubernetes", "written")
    assert slot["held_until"] == renewed["metadata"]["annotations"][f"until.ecr-refresher/{HOST}"]
    assert daemon.metrics().value("ecr_refresher_sink_ready", sink=sink(namespace)) == 1
    assert "kubernetes" in daemon.get("/").text


def test_other_registries_entries_labels_and_annotations_stay(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    others: dict[str, Any] = {"auths": {"ghcr.io": {"auth": "b3RoZXI6b3RoZXI="}}, "HttpHeaders": {"a": "b"}}
    value = base64.b64encode(json.dumps(others).encode()).decode()
    meta = {"name": NAME, "labels": {"team": "data"}, "annotations": {"argocd.argoproj.io/sync-wave": "1"}}
    body = {"metadata": meta, "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": value}}
    assert server.call("POST", f"/api/v1/namespaces/{namespace}/secrets", body)[0] == 201
    wanted = settings(server, namespace) | {"registries": [HOST, PARTNER]}
    assert product.run_cli("once", "--strict", settings=wanted, ecr_url=ecr.url).exit_code == 0
    kept = server.secret(namespace, NAME)
    assert kept is not None
    config = server.config(namespace, NAME)
    assert set(config["auths"]) == {"ghcr.io", HOST, PARTNER}
    assert (config["auths"]["ghcr.io"], config["HttpHeaders"]) == (others["auths"]["ghcr.io"], {"a": "b"})
    assert kept["metadata"]["labels"] == {"team": "data"}
    assert kept["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "1"


def test_a_secret_of_another_type_is_refused_untouched(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    body = {"metadata": {"name": NAME}, "type": "Opaque", "data": {"a": "Yg=="}}
    server.call("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
    before = server.secret(namespace, NAME)
    done = product.run_cli("once", "--json", settings=settings(server, namespace), ecr_url=ecr.url)
    assert done.exit_code == 1
    (slot,) = done.json()["slots"]
    assert slot["error"]["reason"] == "invalid"
    assert "of type Opaque" in slot["error"]["message"]
    assert server.secret(namespace, NAME) == before


def test_a_deleted_secret_is_back_at_the_next_look(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    wanted = settings(server, namespace)
    wanted["refresh"]["verify_every"] = "2s"
    daemon = product.start_daemon(wanted, ecr_url=ecr.url)
    daemon.wait_for(lambda status: status["ready"])
    server.call("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{NAME}")
    wait_until(lambda: password(server, namespace), 90, "the secret")
    repaired = "ecr_refresher_drift_repaired_total"
    wait_until(lambda: daemon.metrics().value(repaired, sink=sink(namespace)) == 1, 10, "its count")


def test_two_daemons_write_once_for_each_renewal(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    ecr.book.life_s = 3600
    wanted = settings(server, namespace)
    first = product.start_daemon(wanted, ecr_url=ecr.url)
    first.wait_for(lambda status: status["ready"])
    second = product.start_daemon(wanted, ecr_url=ecr.url)
    second.wait_for(lambda status: status["slots"] and status["slots"][0]["outcome"] == "skipped")
    assert (written(first, namespace), written(second, namespace)) == (1, 0)


def test_service_accounts_get_the_secret_and_keep_what_they_have(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    ecr.book.life_s = 3600
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    server.call("POST", accounts, {"metadata": {"name": "worker"}, "imagePullSecrets": [{"name": "other"}]})
    wanted = settings(server, namespace, service_accounts=["worker", "missing"])
    for _ in range(2):
        done = product.run_cli("once", "--strict", settings=wanted, ecr_url=ecr.url)
        assert done.exit_code == 0
        (warned,) = [line for line in done.logs() if line["event"] == "service_account_missing"]
        assert "ServiceAccount missing" in warned["error"]
        named = server.call("GET", f"{accounts}/worker")[1]["imagePullSecrets"]
        assert named == [{"name": "other"}, {"name": NAME}]


def test_a_selector_serves_namespaces_that_come_later_and_misses_none_that_go(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    label = f"team={namespace}"
    server.namespace(f"{namespace}-a", team=namespace)
    entry = {"secret": NAME, "namespace_selector": label, "kubeconfig": str(server.kubeconfig(ADMIN))}
    wanted = {"registries": [HOST], "kubernetes": entry, "refresh": {"prove": False, "verify_every": "2s"}}
    daemon = product.start_daemon(wanted, ecr_url=ecr.url)
    daemon.wait_for(lambda status: status["ready"])
    server.namespace(f"{namespace}-b", team=namespace)
    wait_until(lambda: password(server, f"{namespace}-b"), 90, "the secret in the new namespace")
    daemon.wait_for(lambda status: {slot["sink"] for slot in status["slots"]} >= {sink(f"{namespace}-b")})
    body = {"metadata": {"labels": {"team": "other"}}}
    server.call("PATCH", f"/api/v1/namespaces/{namespace}-a", body, content_type="application/merge-patch+json")
    daemon.wait_for(lambda status: {slot["sink"] for slot in status["slots"]} == {sink(f"{namespace}-b")}, within=90)
    assert daemon.status()["ready"]


def test_while_the_api_server_is_down_nothing_is_lost_and_it_is_served_once_when_it_is_back(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    wanted = settings(server, namespace)
    wanted["refresh"] |= {"retry_first": "1s", "retry_max": "2s"}
    daemon = product.start_daemon(wanted, ecr_url=ecr.url)
    daemon.wait_for(lambda status: status["ready"])
    server.stop_server()
    try:
        failures = "ecr_refresher_delivery_failures_total"
        for count in range(1, 4):
            daemon.signal(SIGUSR1)
            wait_until(lambda: daemon.metrics().total(failures, sink=sink(namespace)) >= count, 30, "a failure")  # noqa: B023
        assert daemon.slot(sink(namespace))["last_error"]["reason"] == "transient"
        before = written(daemon, namespace) - daemon.metrics().total(failures, sink=sink(namespace))
    finally:
        server.start()
    daemon.wait_for(lambda status: status["slots"][0]["last_error"] is None, within=60)
    after = written(daemon, namespace) - daemon.metrics().total(failures, sink=sink(namespace))
    assert after - before <= 1


def test_a_writer_that_changes_the_secret_all_the_time_does_not_keep_it_away(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    daemon = product.start_daemon(settings(server, namespace), ecr_url=ecr.url)
    daemon.wait_for(lambda status: status["ready"])
    over = threading.Event()

    def disturb() -> None:
        count = 0
        while not over.is_set():
            count += 1
            body = {"metadata": {"labels": {"count": str(count)}}}
            path = f"/api/v1/namespaces/{namespace}/secrets/{NAME}"
            server.call("PATCH", path, body, content_type="application/merge-patch+json")
            time.sleep(0.02)

    writer = threading.Thread(target=disturb)
    writer.start()
    try:
        for _ in range(3):
            renew(daemon, namespace)
    finally:
        over.set()
        writer.join()
    found = server.secret(namespace, NAME)
    assert found is not None
    assert int(found["metadata"]["labels"]["count"]) > 3
    assert daemon.metrics().total("ecr_refresher_delivery_failures_total") == 0


@pytest.mark.parametrize("delay_s", [0.0, 0.08], ids=["near", "80 ms away"])
def test_300_namespaces_in_one_pass(server: ApiServer, ecr: EcrStandIn, product: Product, delay_s: float) -> None:
    names = [f"many-{int(delay_s * 1000)}-{number}" for number in range(300)]
    for name in names:
        server.namespace(name)
    ecr.book.life_s = 3600
    with Relay(server.url, delay_s) as relay:
        kubeconfig = server.kubeconfig(ADMIN, f"far-{delay_s}", relay.url)
        wanted = settings(server, *names, kubeconfig=str(kubeconfig))
        began = time.monotonic()
        done = product.run_cli("once", "--strict", "--json", settings=wanted, ecr_url=ecr.url, within=90)
        took_s = time.monotonic() - began
    assert done.exit_code == 0
    assert {slot["outcome"] for slot in done.json()["slots"]} == {"written"}
    print(f"300 namespaces {delay_s * 1000:.0f} ms away: {took_s:.1f} s")
    assert took_s < 30
    assert len({password(server, name) for name in names[::50]}) == 1


def test_a_right_that_is_missing_is_named(server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product) -> None:
    wanted = settings(server, namespace, token=server.users["nobody"])
    done = product.run_cli("once", "--json", settings=wanted, ecr_url=ecr.url)
    assert done.exit_code == 1
    (slot,) = done.json()["slots"]
    assert slot["error"]["reason"] == "denied"
    assert f"get secrets/{NAME} in namespace {namespace}" in slot["error"]["message"]
    assert "Role" in slot["error"]["fix"]


def test_the_pods_own_service_account_is_read_afresh_when_its_token_rotates(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    """In a mount namespace of its own, where a ServiceAccount is mounted as in a pod."""
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "ca.crt").write_bytes(server.ca_file.read_bytes())
    (account / "namespace").write_text(namespace)
    (account / "token").write_text("expired")
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    mounted = f'mount -t tmpfs tmpfs /run && mkdir -p {place} && mount --bind {account} {place} && exec "$@"'
    prefix = ("unshare", "--mount", "sh", "-c", mounted, "sh")
    env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(server.port)}
    wanted = {"registries": [HOST], "kubernetes": {"secret": NAME}, "refresh": {"prove": False}}
    refused = product.run_cli("once", "--json", settings=wanted, ecr_url=ecr.url, env=env, prefix=prefix)
    (slot,) = refused.json()["slots"]
    assert (slot["sink"], slot["error"]["reason"]) == (sink(namespace), "denied")
    (account / "token").write_text(ADMIN)
    served = product.run_cli("once", "--json", settings=wanted, ecr_url=ecr.url, env=env, prefix=prefix)
    assert served.exit_code == 0
    assert password(server, namespace)


RIGHTS = {
    f"get secrets/{NAME}": ("get", "secrets", NAME),
    f"patch secrets/{NAME}": ("patch", "secrets", NAME),
    "create secrets": ("create", "secrets", None),
    "get serviceaccounts/worker": ("get", "serviceaccounts", "worker"),
    "patch serviceaccounts/worker": ("patch", "serviceaccounts", "worker"),
}


def grant(server: ApiServer, namespace: str, *rights: str) -> None:
    """Give the publisher these rights and no others."""
    rules: list[dict[str, Any]] = []
    for verb, resource, name in (RIGHTS[right] for right in rights):
        bound = {"resourceNames": [name]} if name else {}
        rules.append({"apiGroups": [""], "verbs": [verb], "resources": [resource], **bound})
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    server.call("DELETE", f"{base}/roles/it")
    assert server.call("POST", f"{base}/roles", {"metadata": {"name": "it"}, "rules": rules})[0] == 201
    subject = {"kind": "User", "name": "publisher", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "Role", "name": "it", "apiGroup": "rbac.authorization.k8s.io"}
    server.call("POST", f"{base}/rolebindings", {"metadata": {"name": "it"}, "subjects": [subject], "roleRef": role})


def test_check_names_each_right_that_is_missing_and_the_least_ones_are_enough(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    ecr.book.life_s = 3600
    server.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "worker"}})
    wanted = settings(server, namespace, token=server.users["publisher"], service_accounts=["worker"])

    def rights() -> dict[str, Any]:
        done = product.run_cli("check", "--json", settings=wanted, ecr_url=ecr.url)
        (row,) = [row for row in done.json()["legs"] if row["leg"] == "rights"]
        return dict(row)

    for missing in RIGHTS:
        grant(server, namespace, *(right for right in RIGHTS if right != missing))
        found = rights()
        (one,) = found["findings"]
        assert one["text"] == f"the identity may not {missing} in namespace {namespace}"
        assert "Role" in one["fix"]
    grant(server, namespace, *RIGHTS)
    assert rights()["verdict"] == "ok"
    assert product.run_cli("once", "--strict", settings=wanted, ecr_url=ecr.url).exit_code == 0


def test_a_kubeconfig_may_get_its_token_by_an_exec_plugin(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product, tmp_path: Path
) -> None:
    plugin = tmp_path / "plugin"
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": ADMIN}}
    plugin.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    plugin.chmod(0o755)
    kubeconfig = tmp_path / "kubeconfig"
    content = json.loads(server.kubeconfig(ADMIN, "for-exec").read_text())
    words = {"apiVersion": answer["apiVersion"], "command": str(plugin), "interactiveMode": "Never"}
    content["users"] = [{"name": "it", "user": {"exec": words}}]
    kubeconfig.write_text(json.dumps(content))
    wanted = settings(server, namespace, kubeconfig=str(kubeconfig))
    assert product.run_cli("once", "--strict", settings=wanted, ecr_url=ecr.url).exit_code == 0
    assert password(server, namespace)


def test_what_the_api_server_refuses_is_told_without_its_answer_which_may_quote_the_secret(
    server: ApiServer, namespace: str, ecr: EcrStandIn, product: Product
) -> None:
    """The hunt for secrets searches all that the product has said here."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    body = {"metadata": {"name": NAME}, "type": "kubernetes.io/dockerconfigjson", "immutable": True}
    body["data"] = {".dockerconfigjson": base64.b64encode(b'{"auths": {}}').decode()}
    assert server.call("POST", path, body)[0] == 201
    done = product.run_cli("once", "--json", settings=settings(server, namespace), ecr_url=ecr.url)
    assert done.exit_code == 1
    (slot,) = done.json()["slots"]
    assert slot["error"]["reason"] == "invalid"
    assert "does not accept the change (422)" in slot["error"]["message"]
    assert "immutable" in slot["error"]["fix"]
    status, events = server.call("GET", f"/api/v1/namespaces/{namespace}/events")
    assert (status, events["items"]) == (200, [])
