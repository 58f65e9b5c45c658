"""A real Kubernetes API server with an etcd of its own: Secrets, ServiceAccounts, RBAC; no node and no controller."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.testbed import parts
from tests.testbed.certificates import CertificateAuthority
from tests.testbed.processes import Process, Record, free_port, wait_until

ADMIN = "admintoken"


class ApiServer:
    """One API server on loopback. Identities are tokens: `users` gives each its name."""

    def __init__(self, record: Record, directory: Path, users: dict[str, str]) -> None:
        self.directory = directory
        self.users = {name: token for token, name in users.items()}
        self.port = free_port()
        self.log_file = directory / "kube-apiserver.log"
        self._etcd, self._server = Process(record, "etcd"), Process(record, "kube-apiserver")
        authority = CertificateAuthority(directory / "certificates")
        self.ca_file = authority.ca_file
        self._certificate = authority.issue("localhost", "127.0.0.1")
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key = directory / "accounts.key"
        self._key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
        )
        rows = [f"{ADMIN},admin,admin,system:masters", *(f"{token},{name},{name}" for token, name in users.items())]
        self._tokens = directory / "tokens.csv"
        self._tokens.write_text("\n".join(rows) + "\n")
        self._client_port, self._peer_port = free_port(), free_port()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self) -> None:
        """Return once it answers."""
        etcd = f"http://127.0.0.1:{self._client_port}"
        if not self._etcd.running:
            peer = f"http://127.0.0.1:{self._peer_port}"
            words = ["--data-dir", str(self.directory / "etcd"),
                     "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
                     "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                     "--initial-cluster", f"default={peer}", "--unsafe-no-fsync"]  # fmt: skip
            self._etcd.start([parts.ETCD, *words], log=self.directory / "etcd.log", env={})
        words = ["--etcd-servers", etcd, "--secure-port", str(self.port),
                 "--bind-address", "127.0.0.1", "--advertise-address", "192.0.2.1",
                 "--tls-cert-file", self._certificate[0], "--tls-private-key-file", self._certificate[1],
                 "--service-account-key-file", str(self._key), "--service-account-signing-key-file", str(self._key),
                 "--service-account-issuer", "https://kubernetes.default.svc",
                 "--token-auth-file", str(self._tokens), "--authorization-mode", "RBAC",
                 "--service-cluster-ip-range", "10.0.0.0/24",
                 "--disable-admission-plugins", "ServiceAccount"]  # fmt: skip
        self._server.start([parts.API_SERVER, *words], log=self.log_file, env={})
        wait_until(lambda: self.answers() or not self._server.running, 60, "an answer of the API server", 0.2)
        assert self._server.running, self.log_file.read_text()[-2000:]

    def stop(self) -> None:
        self.stop_server()
        self._etcd.stop()

    def stop_server(self) -> None:
        """Stop the API server alone; what it knows stays in etcd."""
        self._server.stop()

    def answers(self) -> bool:
        try:
            return self.call("GET", "/readyz", token=ADMIN)[0] == 200
        except OSError:
            return False

    def call(
        self, method: str, path: str, body: Any = None, token: str = ADMIN, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """One request as the tests' own client: status and JSON (or text)."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", content_type)
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=20) as answer:
                return answer.status, _parsed(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read())

    # --- what tests make ---------------------------------------------------------------------------------------------
    def namespace(self, name: str, **labels: str) -> None:
        status, _ = self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        assert status in (201, 409)

    def secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        status, found = self.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        assert status in (200, 404), (status, found)
        return found if status == 200 else None

    def config(self, namespace: str, name: str) -> dict[str, Any]:
        """The `.dockerconfigjson` of a secret; empty where there is none."""
        found = self.secret(namespace, name)
        return {} if found is None else json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))

    def kubeconfig(self, token: str, name: str = "kubeconfig", server: str | None = None) -> Path:
        """A kubeconfig for one identity."""
        entry = {"server": server or self.url, "certificate-authority": str(self.ca_file)}
        file = self.directory / name
        file.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "it",
                    "clusters": [{"name": "it", "cluster": entry}],
                    "users": [{"name": "it", "user": {"token": token}}],
                    "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                }
            )
        )
        return file


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
