"""The image, built by the real engine from the real Dockerfile, at its work under the tightest rules there are."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import available
from tests.integration.settings import CONNECTION, password_in
from tests.testbed import images
from tests.testbed.airflow import Airflow
from tests.testbed.container import Container, children, container, peak_memory, process, status_of
from tests.testbed.daemon import AWS_SECRET_KEY, clean_environment
from tests.testbed.engine import Engine
from tests.testbed.prepare_images import PYTHON
from tests.testbed.processes import free_port, wait_until
from tests.testbed.registry import HOST, Registry
from tests.testbed.secret_hunt import Outputs, Secrets
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.script import Delay
from tests.testbed.standins.tokens import TokenBook

pytestmark = [
    pytest.mark.real("airflow, engine, registry"),
    pytest.mark.timeout(500),
    pytest.mark.xdist_group("beside"),  # all in one lane: the image is built once
]

SIZE_MAX = 100e6  # bytes beyond its base; half of them are the Kubernetes client
# What docs/container.md and the chart state as the limit of memory: one cgroup holds the supervisor and its worker.
MEMORY = "160m"
USER = 50000
# No writable place but the volumes, no right but to be there, no shell, no swap.
TIGHT: tuple[str, ...] = (
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=host",
    f"--memory={MEMORY}",
    f"--memory-swap={MEMORY}",
    "--pids-limit=64",
    "--volume=/dev/null:/bin/sh:ro",
)
LABELS = {"VERSION": "1.2.3", "REVISION": "0123456789abcdef", "CREATED": "2026-11-22T10:00:00Z"}


@pytest.fixture(scope="session")
def image(engine_server: Engine) -> Engine:
    """The engine, with the product's image on it."""
    available(images.missing_image_parts(PYTHON), lambda: images.build(engine_server, **LABELS))
    return engine_server


class Host:
    """What a host lends to the container: a volume for config.json, secrets, and a stand-in for AWS."""

    def __init__(self, directory: Path, registry: Registry, ecr: EcrStandIn) -> None:
        self.docker = directory / "docker"
        self.docker.mkdir()
        os.chown(self.docker, USER, 0)
        self.config_file = self.docker / "config.json"
        self.password_file = directory / "password"
        self.port = free_port()
        self.options = (*TIGHT, f"--volume={self.docker}:/docker", f"--volume={registry.ca_file}:/ca.crt:ro")
        self.env = clean_environment(Path("/nowhere"), ecr_url=ecr.url, measured=False) | {
            "PATH": "/opt/ecr-refresher/bin:/usr/local/bin:/usr/bin:/bin",
            "SSL_CERT_FILE": "/ca.crt",
            "ECR_REFRESHER_REGISTRIES": HOST,
            "ECR_REFRESHER_DOCKER_CONFIG": "/docker/config.json",
            "ECR_REFRESHER_LISTEN": f"127.0.0.1:{self.port}",
        }

    def publish_to(self, airflow: Airflow, user: str = "oper") -> None:
        self.password_file.write_text(airflow.passwords[user])
        os.chown(self.password_file, USER, 0)
        self.password_file.chmod(0o400)
        self.options = (*self.options, f"--volume={self.password_file}:/run/secrets/airflow-password:ro")
        self.env |= {
            "ECR_REFRESHER_AIRFLOW_URL": airflow.url,
            "ECR_REFRESHER_AIRFLOW_USERNAME": user,
            "ECR_REFRESHER_AIRFLOW_PASSWORD_FILE": "/run/secrets/airflow-password",
        }

    def ready(self) -> bool:
        status = status_of(self.port)
        return status is not None and bool(status["ready"])


@pytest.fixture
def host(tmp_path: Path, registry: Registry, ecr: EcrStandIn, book: TokenBook, secrets_seen: Secrets) -> Host:
    secrets_seen.add(AWS_SECRET_KEY)
    book.life_s = 3600
    return Host(tmp_path, registry, ecr)


@pytest.fixture
def box(image: Engine, request: pytest.FixtureRequest, outputs: Outputs) -> Iterator[Container]:
    """A container of the image, not started yet."""
    with container(image, request.node.name.replace("_", "-"), outputs) as box:
        yield box


def in_image(engine: Engine, program: str) -> str:
    """What a Python program prints in the image."""
    done = engine.docker("run", "--rm", "--entrypoint=python", *TIGHT, images.PRODUCT, "-c", program)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_image_is_small_and_says_what_it_is(image: Engine) -> None:
    product = images.inspected(image, images.PRODUCT)
    grown = product["Size"] - images.inspected(image, images.BASE)["Size"]
    assert grown <= SIZE_MAX
    config = product["Config"]
    assert config["User"] == f"{USER}:0"
    assert config["Entrypoint"] == ["ecr-refresher"]
    assert config["Healthcheck"]["Test"] == ["CMD", "ecr-refresher", "status", "--live", "--pause=5m"]
    assert config["Healthcheck"]["Interval"] == 5e9
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert labels | {name.lower(): value for name, value in LABELS.items()} == labels
    assert {"title", "description", "licenses"} <= labels.keys()


MODULES = """
import importlib.util, json, os, sys
import ecr_refresher.cli, ecr_refresher.daemon.supervisor, ecr_refresher.job.worker
import ecr_refresher.job.commands.once, ecr_refresher.job.sinks.kubernetes.api_server
import airflow_client.client, boto3, docker, prometheus_client, urllib3, yaml
sources = {name: module.__spec__ for name, module in sys.modules.items() if getattr(module, '__file__', '')}
print(json.dumps({name: os.path.exists(spec.cached) for name, spec in sources.items()
                  if spec and (spec.origin or '').endswith('.py')}))
"""


def test_all_that_it_loads_is_compiled(image: Engine) -> None:
    compiled = json.loads(in_image(image, MODULES))
    some = {"ecr_refresher.cli", "json", "asyncio.base_events", "botocore.session", "airflow_client.client"}
    assert some <= compiled.keys()
    assert [name for name, there in compiled.items() if not there] == []


INSTALLED = """
import importlib.metadata, sys
for found in importlib.metadata.distributions(path=[path for path in sys.path if path.startswith('/opt/')]):
    print(f'{found.name.lower()}=={found.version}')
"""


def test_its_bill_of_materials_names_what_is_in_it(image: Engine) -> None:
    text = in_image(image, "print(open('/opt/ecr-refresher/sbom.cdx.json').read())")
    bill = json.loads(text)
    assert bill["bomFormat"] == "CycloneDX"
    installed = in_image(image, INSTALLED).split()
    assert {name.partition("==")[0] for name in installed} >= {"ecr-refresher", "boto3", "apache-airflow-client"}
    assert sorted(f"{one['name'].lower()}=={one['version']}" for one in bill["components"]) == sorted(installed)
    assert all(one["licenses"] for one in bill["components"])
    assert "127.0.0.1" not in text, "where it was built is nobody's business"


def test_it_does_its_work_read_only_without_rights_or_shell_and_within_its_memory(
    box: Container, host: Host, airflow: Airflow, registry: Registry
) -> None:
    host.publish_to(airflow)
    box.run(images.PRODUCT, options=(*host.options, "--health-retries=1"), env=host.env)
    box.wait_for_health("healthy", within=10)  # this engine knows no start interval
    wait_until(host.ready, 60, f"readiness of {box.name}: {box.logs()[-2000:]}")
    stored = airflow.db_connection(CONNECTION)
    assert stored is not None
    assert registry.book.check("AWS", stored.password or "") == "ok"
    assert registry.book.check("AWS", password_in(host.config_file)) == "ok"
    pulled = box.engine.docker("pull", registry.image, config=host.docker)
    assert pulled.returncode == 0, pulled.stderr

    first = process(box.pid)
    assert first["Uid"].split() == [str(USER)] * 4
    assert (first["CapEff"], first["CapBnd"], first["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    assert "denied" in box.engine.docker("exec", box.name, "/bin/sh", "-c", "true").stdout, "there is no shell"
    assert {json.loads(line)["level"] for line in box.logs().splitlines()} == {"info"}

    os.kill(box.pid, signal.SIGUSR1)  # another pass, beside the health check's own Python
    written = host.config_file.stat().st_mtime_ns
    wait_until(lambda: host.config_file.stat().st_mtime_ns != written, 30, "another token")
    assert 20 << 20 < peak_memory(box.pid) < 120 << 20, "what the limit was made from"
    assert not box.state()["OOMKilled"]
    os.kill(box.pid, signal.SIGSTOP)
    box.wait_for_health("unhealthy")
    os.kill(box.pid, signal.SIGCONT)
    box.wait_for_health("healthy")
    assert box.stop() == 0


FORKER = """#!/usr/bin/python3
import json, os, sys, time
order = sys.stdin.read()
kept = "/docker/kept.json"
if sys.argv[1] == "get":
    print(open(kept).read() if os.path.exists(kept) else "credentials not found in native keychain")
    sys.exit(not os.path.exists(kept))
login = json.loads(order)
with open(kept, "w") as file:
    json.dump(login, file)
if not os.fork():
    os.setsid()  # out of the group that dies with the worker
    if not os.fork():
        for number in (0, 1, 2):
            os.close(number)
        open("/docker/forked", "w").close()
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists("/docker/forked"):
    time.sleep(0.05)
"""


def test_what_a_helper_leaves_behind_ends_with_its_file_s_child(box: Container, host: Host, registry: Registry) -> None:
    helper = host.docker / "docker-credential-forker"
    helper.write_text(FORKER)
    helper.chmod(0o755)
    host.config_file.write_text('{"credsStore": "forker"}')
    os.chown(host.config_file, USER, 0)
    box.run(images.PRODUCT, options=host.options, env=host.env | {"PATH": f"/docker:{host.env['PATH']}"})
    wait_until(host.ready, 60, "readiness")
    assert registry.book.check("AWS", json.loads((host.docker / "kept.json").read_text())["Secret"]) == "ok"
    assert (host.docker / "forked").exists()
    wait_until(lambda: not children(box.pid), 20, "the pass's end")
    assert "docker-credential" not in box.engine.docker("top", box.name).stdout


ORPHAN = """
import os, time
if os.fork():
    os._exit(0)
for number in (0, 1, 2):
    os.close(number)
while not os.path.exists("/docker/end"):
    time.sleep(0.05)
"""


def test_as_process_1_it_buries_the_orphans_that_others_leave(box: Container, host: Host) -> None:
    box.run(images.PRODUCT, options=host.options, env=host.env)
    wait_until(host.ready, 60, "readiness")
    wait_until(lambda: not children(box.pid), 20, "the pass's end")
    box.execute("python", "-c", ORPHAN)
    wait_until(lambda: len(children(box.pid)) == 1, 20, "the orphan's adoption")
    (orphan,) = children(box.pid)
    (host.docker / "end").touch()
    wait_until(lambda: not process(orphan), 20, "the orphan's burial")
    assert box.stop() == 0


def test_a_fresh_volume_at_docker_is_where_the_login_goes_unless_told_otherwise(
    box: Container, host: Host, registry: Registry
) -> None:
    del host.env["ECR_REFRESHER_DOCKER_CONFIG"]
    others = tuple(option for option in host.options if not option.endswith(":/docker"))
    box.run(images.PRODUCT, "once", options=(*others, "--volume=fresh:/docker"), env=host.env)
    assert box.engine.docker("wait", box.name).stdout.strip() == "0", box.logs()
    volume = Path(images.inspected(box.engine, "fresh")["Mountpoint"])
    assert registry.book.check("AWS", password_in(volume / "config.json")) == "ok"
    status = (volume / "config.json").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (USER, 0o600)


def test_a_single_pass_as_process_1_ends_when_it_is_told_to(box: Container, host: Host, ecr: EcrStandIn) -> None:
    ecr.always(Delay(40))
    box.run(images.PRODUCT, "once", options=host.options, env=host.env)
    wait_until(lambda: ecr.calls, 30, "its call")
    assert box.stop(patience=5) == 1, "137: it was deaf to SIGTERM, as any process 1 without a handler"
    assert not host.config_file.exists()


def test_the_image_can_speak_to_every_service_that_is_asked(image: Engine) -> None:
    program = "import boto3; print(*boto3.Session().get_available_services())"
    services = {"ecr", "ecr-public", "mwaa", "secretsmanager", "ssm", "signin", "sso", "sso-oidc", "sts"}
    assert set(in_image(image, program).split()) == services
    clients = f"import boto3; [boto3.client(s, region_name='eu-west-1') for s in {services}]"
    assert in_image(image, clients) == ""
