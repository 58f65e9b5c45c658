"""The Kubernetes client is loaded where a plan has pull secrets, and nowhere else; it always verifies TLS."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.server
import json
import os
import resource
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ecr_refresher.core.model import Credential, Failed, Reason, Secret
from ecr_refresher.job.sinks.kubernetes.api_server import ApiServer
from ecr_refresher.job.sinks.kubernetes.pull_secret import PullSecret
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.standins.serving import Reply

from .test_airflow.conftest import Scripted

ALICE = 23_456
TOKEN = {"token": "t"}
PROGRAM = """
import contextlib, sys
from ecr_refresher.core.model import Failed
from ecr_refresher.core.plan import KubernetesSecret, Plan, Principal, Registry
from ecr_refresher.job import worker
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.doctor.legs import kubernetes as legs
from ecr_refresher.job.refresh.tools import RealTools

registry = Registry("r", "r.example.com", Principal("ecr", "us-east-1"))
secret = KubernetesSecret("ecr-pull", ("r",), ("jobs",), kubeconfig="/nonexistent")
plan = Plan((registry,), kubernetes=(secret,))
tools = RealTools(plan, AwsClock(), print)
if sys.argv[1] == "with":
    with contextlib.suppress(Failed):  # there is no such kubeconfig
        tools.sink(plan.slots[0], registry).look()
print("kubernetes" in sys.modules)
"""


@pytest.mark.parametrize(("how", "loaded"), [("with", "True"), ("without", "False")])
def test_it_is_loaded_only_for_a_pull_secret(how: str, loaded: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [loaded]


def test_a_kubeconfig_can_t_turn_off_the_verification_of_tls(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    cluster = {"server": "https://127.0.0.1:9", "insecure-skip-tls-verify": True}
    content = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "me", "user": {"token": "a-token"}}],
    }
    kubeconfig.write_text(json.dumps(content))
    with pytest.raises(Failed) as caught:
        ApiServer(str(kubeconfig))
    assert caught.value.failure.reason is Reason.INVALID
    assert "insecure-skip-tls-verify" in caught.value.failure.fix
    cluster["insecure-skip-tls-verify"] = False
    kubeconfig.write_text(json.dumps(content))
    assert ApiServer(str(kubeconfig)).url == "https://127.0.0.1:9"


def test_a_token_is_not_sent_to_another_host_without_tls(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    for server, refused in (("http://kubernetes.example.com", True), ("http://127.0.0.1:9", False)):
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": server}}],
            "users": [{"name": "it", "user": {"token": "t"}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        }
        kubeconfig.write_text(json.dumps(content))
        if refused:
            with pytest.raises(Failed, match="without TLS"):
                ApiServer(str(kubeconfig))
        else:
            ApiServer(str(kubeconfig))


@pytest.mark.timeout(20)
def test_a_fifo_in_a_kubeconfigs_place_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kubeconfig")
    with pytest.raises(Failed, match="not a regular file"):
        ApiServer(str(tmp_path / "kubeconfig"))


def api_server_at(url: str, directory: Path, user: Mapping[str, Any] = TOKEN) -> ApiServer:
    content = {
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    (directory / "kubeconfig").write_text(json.dumps(content))
    return ApiServer(str(directory / "kubeconfig"))


def test_a_server_whose_certificate_is_not_trusted_is_named_with_the_ca(tmp_path: Path) -> None:
    own = CertificateAuthority(tmp_path)
    tls = own.issue("127.0.0.1")
    with (
        Scripted(lambda _method, _path: Reply.json(200, {}), tls=tls) as server,
        pytest.raises(Failed, match="certificate is not trusted") as caught,
    ):
        api_server_at(server.url, tmp_path).secret("jobs", "s")
    assert caught.value.failure.reason is Reason.INVALID
    assert "the kubeconfig" in caught.value.failure.fix


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}},
        {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere", "interactiveMode": "Never"}},
    ],
)
def test_a_user_without_identity_is_told_before_anything_is_asked(tmp_path: Path, user: dict[str, Any]) -> None:
    with pytest.raises(Failed, match=r"gives no identity for https://cluster.example") as caught:
        api_server_at("https://cluster.example:6443", tmp_path, user)
    assert "plugin" in caught.value.failure.fix


def test_a_proxy_gets_its_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append((self.path, self.headers["Proxy-Authorization"]))
            self.send_error(502)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://bob:secret@127.0.0.1:{proxy.server_port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(Failed):
            api_server_at("https://cluster.example:6443", tmp_path).version()
        proxy.shutdown()
    assert asked == [("cluster.example:6443", f"Basic {base64.b64encode(b'bob:secret').decode()}")]


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_has_a_largest_size(tmp_path: Path, status: int, packed: bool) -> None:
    secret = {"metadata": {"name": "s", "resourceVersion": "1"}, "type": "Opaque", "data": {"x": "a" * (3 << 20)}}
    body = json.dumps(secret).encode()
    reply = Reply(status, body)
    if packed:
        reply = Reply(status, gzip.compress(body), headers={"Content-Encoding": "gzip"})
    with Scripted(lambda _method, _path: reply) as server:
        api = api_server_at(server.url, tmp_path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(Failed) as caught:
            api.secret("jobs", "s")
        said = caught.value.failure
    if not packed:
        assert (said.reason, "more than 2048 KiB" in said.message) == (Reason.INVALID, True), said
        assert server.url.removeprefix("http://") in said.message
    else:  # it was not asked to pack, so nothing is unpacked
        assert said.reason is (Reason.INVALID if status == 200 else Reason.TRANSIENT), said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 << 10  # KiB


def test_a_secret_as_large_as_kubernetes_allows_is_read(tmp_path: Path) -> None:
    data = {".dockerconfigjson": "e30=", "x": "YWFh" * (1 << 18)}
    secret = {"metadata": {"name": "s", "resourceVersion": "1"}, "type": "Opaque", "data": data}
    with Scripted(lambda _method, _path: Reply.json(200, secret)) as server:
        found = api_server_at(server.url, tmp_path).secret("jobs", "s")
    assert found is not None
    assert found.metadata.resource_version == "1"


MANY = 150_000
ENTRIES = json.dumps({"auths": {f"{number:x}": 0 for number in range(MANY)}}, separators=(",", ":")).encode()
HOSTILE: dict[str, dict[str, Any]] = {
    "entries": {"data": {".dockerconfigjson": base64.b64encode(ENTRIES).decode()}},
    "keys of its data": {"data": {f"{number:x}": "" for number in range(MANY)}},
    "annotations": {"metadata": {"annotations": {f"{number:x}": "" for number in range(MANY)}}},
    "labels": {"metadata": {"labels": {f"{number:x}": "" for number in range(MANY)}}},
    "owners": {"metadata": {"ownerReferences": [{}] * 600_000}},
    "references": {"imagePullSecrets": [{}] * 600_000},
    "named references": {"imagePullSecrets": [{"name": "a"}] * 120_000},
}


@pytest.mark.parametrize("parts", HOSTILE.values(), ids=HOSTILE)
def test_an_answer_as_large_as_may_be_takes_little_memory_whatever_it_is_made_of(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    body = {"type": "kubernetes.io/dockerconfigjson", **parts}
    body["metadata"] = {"resourceVersion": "1", **body.get("metadata", {})}
    reply = Reply(200, json.dumps(body, separators=(",", ":")).encode())
    assert 1.5e6 < len(reply.body) < 2 << 20

    with Scripted(lambda _method, _path: reply) as server:
        api = api_server_at(server.url, tmp_path)

        def use_it(number: int) -> None:
            secret = PullSecret(lambda: api, "jobs", f"s{number}", ("default",))
            for act in (
                lambda: secret.look("host"),
                lambda: secret.deliver("host", Credential("AWS", Secret("x" * 2000), 0.0, 2e9), lambda _: True),
                secret.attach,
            ):
                with contextlib.suppress(Failed):
                    act()

        tracemalloc.start()
        try:
            with ThreadPoolExecutor(4) as threads:
                list(threads.map(use_it, range(4)))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert {path.split("/")[5] for _, path, _ in server.asked} == {"secrets", "serviceaccounts"}
    assert peak < 40e6


def test_a_secret_with_more_entries_than_anybody_has_is_refused_and_not_written(tmp_path: Path) -> None:
    secret = {"metadata": {"resourceVersion": "1"}, "type": "kubernetes.io/dockerconfigjson", **HOSTILE["entries"]}
    with Scripted(lambda _method, _path: Reply.json(200, secret)) as server:
        pull_secret = PullSecret(lambda: api_server_at(server.url, tmp_path), "jobs", "s")
        with pytest.raises(Failed, match="more than 20,000 entries"):
            pull_secret.deliver("host", Credential("AWS", Secret("x" * 2000), 0.0, 2e9), lambda _: True)
        assert {method for method, _, _ in server.asked} == {"GET"}


def answering(content: Mapping[str, Any]) -> Callable[[str, str], Reply]:
    """A server whose secret has this content; any other answer is that all went well."""
    secret = {"metadata": {"resourceVersion": "1"}, "type": "kubernetes.io/dockerconfigjson", **content}
    return lambda method, path: Reply.json(200, secret if method == "GET" else {"metadata": {"resourceVersion": "2"}})


NEW = Credential("AWS", Secret("x" * 2000), 0.0, 2e9)


@pytest.mark.parametrize(
    "config",
    [
        rb'{"auths": {"ghcr.io": {"auth": "YTpi", "note": "\udcff"}}}',  # Go reads these two as U+FFFD
        b'{"auths": {"gh\xff": {"auth": "YTpi"}}}',
        b'{"auths": {"ghcr.io": ' + b"[" * 5000 + b"]" * 5000 + b"}}",
    ],
    ids=["surrogate", "byte", "nested"],
)
def test_what_a_kubelet_may_read_and_we_can_t_is_never_overwritten(tmp_path: Path, config: bytes) -> None:
    content = {"data": {".dockerconfigjson": base64.b64encode(config).decode()}}
    with Scripted(answering(content)) as server:
        pull_secret = PullSecret(lambda: api_server_at(server.url, tmp_path), "jobs", "s")
        with pytest.raises(Failed, match="can't be read, and may hold logins of others"):
            pull_secret.deliver("host", NEW, lambda _: True)
        assert {method for method, _, _ in server.asked} == {"GET"}


@pytest.mark.parametrize("named", [[{}], [{}, {"name": "other"}], [{"name": ""}]])
def test_an_entry_without_a_name_keeps_no_service_account_from_its_secret(
    tmp_path: Path, named: list[dict[str, str]]
) -> None:
    account = {"metadata": {"resourceVersion": "1"}, "imagePullSecrets": named}
    with Scripted(lambda _method, _path: Reply.json(200, account)) as server:
        PullSecret(lambda: api_server_at(server.url, tmp_path), "jobs", "s", ("default",)).attach()
        assert [method for method, _, _ in server.asked] == ["GET", "PATCH"]


@pytest.mark.parametrize(("others", "gets"), [(10, 1), (40_000, 2)])
def test_a_large_secret_is_not_kept_in_memory_but_read_again_before_a_write(
    tmp_path: Path, others: int, gets: int
) -> None:
    config = json.dumps({"auths": {"ghcr.io": {"auth": "x" * others}}}).encode()
    content = {"data": {".dockerconfigjson": base64.b64encode(config).decode()}}
    with Scripted(answering(content)) as server:
        pull_secret = PullSecret(lambda: api_server_at(server.url, tmp_path), "jobs", "s")
        pull_secret.look("host")
        pull_secret.deliver("host", NEW, lambda _: True)
        assert [method for method, _, _ in server.asked] == ["GET"] * gets + ["PATCH"]


def test_endless_pages_of_names_that_no_namespace_has_end_with_the_first(tmp_path: Path) -> None:
    page = {"items": [{"metadata": {"name": "x" * 1_000_000}}], "metadata": {"continue": "more"}}
    with Scripted(lambda _method, _path: Reply.json(200, page)) as server:
        with pytest.raises(Failed, match="name that Kubernetes does not allow"):
            api_server_at(server.url, tmp_path).namespaces("team=data")
        assert len(server.asked) == 1


def her_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    os.chown(home, ALICE, ALICE)
    return str(home / "kubeconfig")


def her_file_in_roots_directory(home: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    os.chown(home / "kubeconfig", ALICE, ALICE)
    return str(home / "kubeconfig")


def a_file_that_everybody_may_write(home: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    (home / "kubeconfig").chmod(0o666)
    return str(home / "kubeconfig")


def her_file_in_the_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    os.chown(home / "kubeconfig", ALICE, ALICE)
    monkeypatch.setenv("KUBECONFIG", f"/nonexistent/kubeconfig:{home / 'kubeconfig'}")
    return None


def her_file_in_the_usual_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    (home / ".kube").mkdir()
    (home / "kubeconfig").rename(home / ".kube/config")
    os.chown(home / ".kube/config", ALICE, ALICE)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return None


@pytest.mark.parametrize(
    "trick",
    [
        her_directory,
        her_file_in_roots_directory,
        a_file_that_everybody_may_write,
        her_file_in_the_variable,
        her_file_in_the_usual_place,
    ],
    ids=lambda trick: trick.__name__,
)
def test_root_runs_no_program_that_another_user_can_put_into_a_kubeconfig(
    open_path: Path,
    as_root: None,
    monkeypatch: pytest.MonkeyPatch,
    trick: Callable[[Path, pytest.MonkeyPatch], str | None],
) -> None:
    home = open_path / "alice"
    home.mkdir()
    ran = open_path / "ran"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(ran)]}
    content = {
        "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "it", "user": {"exec": {**plugin, "interactiveMode": "Never"}}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    }
    (home / "kubeconfig").write_text(json.dumps(content))
    with pytest.raises(Failed) as caught:
        ApiServer(trick(home, monkeypatch))
    assert caught.value.failure.reason is Reason.DENIED
    assert "chown root" in caught.value.failure.fix
    assert not ran.exists()


@pytest.mark.parametrize("metadata", [None, {}, {"name": "x\n[+]forged ok"}, {"name": "X"}, {"name": "a" * 64}])
def test_a_list_of_namespaces_that_no_kubernetes_gives_is_refused(tmp_path: Path, metadata: object) -> None:
    listed = {"metadata": {}, "items": [{"metadata": {"name": "jobs"}}, {"metadata": metadata}]}
    with Scripted(lambda _method, _path: Reply.json(200, listed)) as server, pytest.raises(Failed) as caught:
        api_server_at(server.url, tmp_path).namespaces("team=data")
    assert caught.value.failure.reason is Reason.INVALID


def test_namespaces_that_are_being_deleted_are_left_out(tmp_path: Path) -> None:
    going = {"metadata": {"name": "going", "deletionTimestamp": "2026-11-18T11:06:40Z"}}
    listed = {"metadata": {}, "items": [{"metadata": {"name": "jobs"}}, going]}
    with Scripted(lambda _method, _path: Reply.json(200, listed)) as server:
        assert api_server_at(server.url, tmp_path).namespaces("team=data") == ("jobs",)


@pytest.mark.parametrize(("count", "fits"), [(1000, True), (1001, False), (10_000, False)])
def test_a_selector_stands_for_a_thousand_namespaces_at_most(tmp_path: Path, count: int, fits: bool) -> None:
    def listed(_method: str, path: str) -> Reply:
        first = int(parse_qs(urlsplit(path).query).get("continue", ["0"])[0])
        last = min(first + 50, count)
        items = [{"metadata": {"name": f"n{number}"}} for number in range(first, last)]
        return Reply.json(200, {"metadata": {"continue": str(last) if last < count else ""}, "items": items})

    with Scripted(listed) as server:
        api = api_server_at(server.url, tmp_path)
        if fits:
            assert len(api.namespaces("team=data")) == count
            return
        with pytest.raises(Failed, match="more than 1000 namespaces that match team=data") as caught:
            api.namespaces("team=data")
        assert "Name the namespaces" in caught.value.failure.fix
        assert len(server.asked) <= 21


def test_pages_without_end_and_without_namespaces_end(tmp_path: Path) -> None:
    empty = Reply.json(200, {"metadata": {"continue": "more"}, "items": []})
    with Scripted(lambda _method, _path: empty) as server, pytest.raises(Failed, match="more than 1000 namespaces"):
        api_server_at(server.url, tmp_path).namespaces("team=data")


def test_a_login_that_would_take_the_room_of_the_others_is_refused(tmp_path: Path) -> None:
    huge = Credential("AWS", Secret("x" * 40_000), 0.0, 2e9)
    with Scripted(lambda _method, _path: Reply(404)) as server:
        pull_secret = PullSecret(lambda: api_server_at(server.url, tmp_path), "jobs", "s")
        with pytest.raises(Failed, match="39 KiB, and 32 KiB is the most"):
            pull_secret.deliver("host", huge, lambda _: True)
        assert server.asked == []
