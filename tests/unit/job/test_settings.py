"""What settings come to: every key of the schema, the defaults, and what they depend on."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from ecr_refresher.core import wire
from ecr_refresher.core.plan import (
    Airflow,
    Cleanup,
    Connection,
    ContainerRules,
    DockerConfig,
    Engine,
    ImageRules,
    KubernetesSecret,
    Log,
    Plan,
    Principal,
    Refresh,
    Registry,
    Role,
    SecretRef,
    Server,
)
from ecr_refresher.core.wire import Load
from ecr_refresher.job import settings
from ecr_refresher.job.aws.clients import Aws
from ecr_refresher.job.aws.clock import AwsClock
from ecr_refresher.job.settings import surroundings
from tests.unit.job.settings_reader import HOME, HOST, PARTNER, SURROUNDINGS, airflow, error, plan, warnings

FIPS, DUAL = "123456789012.dkr.ecr-fips", "123456789012.dkr-ecr"
EVERY_KEY = f"""
registries:
  - {HOST}
  - host: {PARTNER}
    name: partner
    role_arn: arn:aws:iam::210987654321:role/ecr-pull
    external_id: team-data
    probe_image: web_scraper:latest
    registry_url: https://127.0.0.1:8443/
    ca_file: ~/registry-ca.pem
    required: false
  - public.ecr.aws
airflow:
  - name: prod
    url: https://airflow.example.com/deployment/
    username: ecr-refresher
    password_file: /run/secrets/airflow-password
    ca_file: /etc/ssl/private-ca.pem
    allow_http: false
    connections:
      docker_default: {HOST}
      docker_partner: {{registry: partner, create: false, team_name: data, required: true}}
docker:
  - config_file: /home/airflow/.docker/config.json
    mode: "0600"
    owner: "50000:0"
    registries: [partner]
    engine: tcp://engine.example.com:2376
    tls_ca: /etc/docker/ca.pem
    tls_cert: /etc/docker/cert.pem
    tls_key: /etc/docker/key.pem
    required: no
kubernetes:
  - secret: ecr-pull
    namespaces: [airflow, jobs]
    registries: [partner]
    service_accounts: airflow-worker
    kubeconfig: ~/.kube/config
  - {{secret: ecr-pull, namespace_selector: "team=data", registries: partner, required: false}}
refresh: {{at_fraction: 0.5, jitter: 0.2, max_age: 6h, verify_every: 30m, deadline: 90s, retry_first: 2s,
  retry_max: 10m, prove: false}}
cleanup:
  enabled: true
  engine: tcp://engine.example.com:2376
  tls_ca: /etc/docker/ca.pem
  every: 5m
  dry_run: true
  state_file: ~/uses.json
  data_root: /mnt/docker
  containers: {{enabled: false, exited_for: 90s, of: all, keep_labels: keep, only_labels: [team=data, dag],
    orchestrated: true, anonymous_volumes: true}}
  images: {{enabled: yes, when_disk_above: 85.5%, until_below: 60%, max_size: 50GB, unused_for: 2d, keep: "*/base:*",
    of: registries}}
  build_cache: {{max_size: 1.5GiB}}
server: {{listen: "[::1]:9000", tls_cert: /etc/tls/cert.pem, tls_key: /etc/tls/key.pem}}
log: {{level: DEBUG, format: console}}
"""


def test_every_key_reaches_the_plan(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(EVERY_KEY)
    loaded = settings.load(Load(str(file)), SURROUNDINGS, euid=0)
    assert loaded.warnings == ()
    assert loaded.plan == Plan(
        registries=(
            Registry(HOST, HOST, Principal("ecr", "us-east-1")),
            Registry(
                "partner",
                PARTNER,
                Principal("ecr", "eu-west-1", (Role("arn:aws:iam::210987654321:role/ecr-pull", "team-data"),)),
                required=False,
                probe_image="web_scraper:latest",
                registry_url="https://127.0.0.1:8443",
                ca_file=f"{HOME}/registry-ca.pem",
            ),
            Registry("public.ecr.aws", "public.ecr.aws", Principal("ecr-public", "us-east-1")),
        ),
        airflows=(
            Airflow(
                "prod",
                "https://airflow.example.com/deployment",
                (
                    Connection("docker_default", HOST),
                    Connection("docker_partner", "partner", create=False, team_name="data"),
                ),
                username="ecr-refresher",
                password=SecretRef("file", "/run/secrets/airflow-password"),
                ca_file="/etc/ssl/private-ca.pem",
            ),
        ),
        dockers=(
            DockerConfig(
                "/home/airflow/.docker/config.json",
                ("partner",),
                mode=0o600,
                uid=50000,
                gid=0,
                engine=Engine(
                    "tcp://engine.example.com:2376", "/etc/docker/ca.pem", "/etc/docker/cert.pem", "/etc/docker/key.pem"
                ),
                required=False,
            ),
        ),
        refresh=Refresh(0.5, 0.2, 21600.0, 1800.0, 90.0, 2.0, 600.0, prove=False),
        server=Server("::1", 9000, "/etc/tls/cert.pem", "/etc/tls/key.pem"),
        log=Log("debug", "console"),
        settings_file=str(file),
        cleanup=Cleanup(
            enabled=True,
            engine=Engine("tcp://engine.example.com:2376", "/etc/docker/ca.pem"),
            every=300.0,
            dry_run=True,
            state_file=f"{HOME}/uses.json",
            data_root="/mnt/docker",
            containers=ContainerRules(
                enabled=False,
                exited_for=90.0,
                every=True,
                keep_labels=("keep",),
                only_labels=("team=data", "dag"),
                orchestrated=True,
                anonymous_volumes=True,
            ),
            images=ImageRules(True, 0.855, 0.6, 50_000_000_000, 172800.0, ("*/base:*",), every=False),
            build_cache_max=1610612736,
        ),
        kubernetes=(
            KubernetesSecret(
                "ecr-pull", ("partner",), ("airflow", "jobs"), None, ("airflow-worker",), f"{HOME}/.kube/config"
            ),
            KubernetesSecret("ecr-pull", ("partner",), None, "team=data", required=False),
        ),
    )
    job = wire.Job(1, 0.0, plan=loaded.plan)
    assert wire.load_job(wire.dump_job(job)) == job  # as it goes to the worker


@pytest.mark.parametrize("written", [None, {}, "registries:\nairflow:\ndocker: ~\nrefresh: null\nserver: {}\n"])
def test_without_settings_the_own_registry_goes_where_docker_login_writes(written: str | None) -> None:
    found = plan(written)
    assert found.registries == (Registry("default", "", Principal("ecr", "us-east-1")),)
    assert found.dockers == (DockerConfig(f"{HOME}/.docker/config.json", ("default",)),)
    assert (found.airflows, found.refresh, found.server, found.log) == ((), Refresh(), Server(), Log())
    assert found.unresolved


def test_without_a_home_in_the_environment_the_systems_users_tell_it() -> None:
    home = pwd.getpwuid(os.geteuid()).pw_dir
    assert plan({}, {"HOME": ""}).dockers[0].config_file == f"{home}/.docker/config.json"


def test_docker_config_says_where_docker_login_writes() -> None:
    assert plan({}, {"DOCKER_CONFIG": "/etc/docker"}).dockers[0].config_file == "/etc/docker/config.json"


def test_registry_auth_file_says_where_podman_login_writes() -> None:
    environ = {"REGISTRY_AUTH_FILE": "/run/user/1000/auth.json", "DOCKER_CONFIG": "/etc/docker"}
    assert plan({}, environ).dockers[0].config_file == "/run/user/1000/auth.json"


def test_with_an_airflow_or_a_secret_alone_no_file_is_written() -> None:
    assert plan({"airflow": airflow()}).dockers == ()
    assert plan({"kubernetes": {"secret": "ecr-pull", "namespaces": "jobs"}}).dockers == ()


def test_slots_of_a_pull_secret_are_one_for_each_namespace_and_registry() -> None:
    found = plan({"registries": [HOST, PARTNER], "kubernetes": {"secret": "ecr-pull", "namespaces": "airflow, jobs"}})
    assert [(slot.sink, slot.registry, slot.kind) for slot in found.slots] == [
        (f"kubernetes/{namespace}/ecr-pull", host, "kubernetes")
        for namespace in ("airflow", "jobs")
        for host in (HOST, PARTNER)
    ]
    assert {(slot.group, slot.target) for slot in found.slots} == {("kubernetes:in-cluster", "in-cluster")}


def test_slots_of_a_selector_name_it_until_a_worker_knows_the_namespaces() -> None:
    written = {"secret": "ecr-pull", "namespace_selector": "team=data", "kubeconfig": "/etc/kube/config"}
    found = plan({"registries": [HOST], "kubernetes": written})
    assert [(slot.sink, slot.group) for slot in found.slots] == [
        ("kubernetes/team=data/ecr-pull", "kubernetes:/etc/kube/config")
    ]
    known = replace(found, kubernetes=(replace(found.kubernetes[0], namespaces=("a", "b")),))
    assert [slot.sink for slot in known.slots] == ["kubernetes/a/ecr-pull", "kubernetes/b/ecr-pull"]
    assert replace(known, kubernetes=(replace(known.kubernetes[0], namespaces=()),)).slots == ()


def test_the_pod_s_own_namespace_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "namespace").write_text("airflow\n")
    monkeypatch.setattr(surroundings, "NAMESPACE_FILE", str(tmp_path / "namespace"))
    assert plan({"kubernetes": {"secret": "ecr-pull"}}).kubernetes[0].namespaces == ("airflow",)


def test_a_domain_of_one_s_own_is_a_registry_by_account_and_region() -> None:
    own = {"host": "docker.example.com", "account": "123456789012", "region": "eu-west-1", "aliases": True}
    found = plan({"registries": [own]})
    registry = found.registries[0]
    assert (registry.name, registry.host) == ("docker.example.com", "docker.example.com")
    assert registry.principal == Principal("ecr", "eu-west-1")
    assert str(registry.ecr) == "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    assert found.dockers[0].registries == (
        "docker.example.com",
        str(registry.ecr),
        "123456789012.dkr-ecr.eu-west-1.on.aws",
    )


@pytest.mark.parametrize(
    ("host", "more", "fips", "dualstack", "api"),
    [
        (HOST, {}, None, None, "api.ecr.us-east-1.amazonaws.com"),
        (f"{FIPS}.us-east-1.amazonaws.com", {}, True, None, "api.ecr-fips.us-east-1.amazonaws.com"),
        (f"{DUAL}.us-east-1.on.aws", {}, None, True, "ecr.us-east-1.api.aws"),
        (f"{DUAL}-fips.us-east-1.on.aws", {}, True, True, "ecr-fips.us-east-1.api.aws"),
        (
            f"{DUAL}-fips.us-east-1.on.aws",
            {"use_fips": False, "use_dualstack": False},
            False,
            False,
            "api.ecr.us-east-1.amazonaws.com",
        ),
        (f"{DUAL}-fips.us-east-1.on.aws", {"endpoint_url": "https://vpce.example"}, None, None, "vpce.example"),
    ],
)
def test_the_host_says_which_kind_of_endpoint_is_asked(
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    more: dict[str, object],
    fips: bool | None,
    dualstack: bool | None,
    api: str,
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-no-worth")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    found = plan({"registries": [{"host": host, **more}]}).registries[0].principal
    assert (found.use_fips, found.use_dualstack) == (fips, dualstack)
    assert urlsplit(Aws(AwsClock()).endpoint(found)).hostname == api


ENGINE = "unix:///var/run/docker.sock"


def own_engine(environ: dict[str, str]) -> Engine | None:
    return plan({"docker": {"engine": True}}, environ).dockers[0].engine


def test_an_engine_without_an_address_is_the_docker_command_s(tmp_path: Path) -> None:
    context = tmp_path / "contexts/meta" / hashlib.sha256(b"far").hexdigest() / "meta.json"
    context.parent.mkdir(parents=True)
    context.write_text(json.dumps({"Name": "far", "Endpoints": {"docker": {"Host": "unix:///run/far.sock"}}}))
    docker = {"DOCKER_CONFIG": str(tmp_path)}
    assert own_engine(docker) == Engine(ENGINE)
    assert own_engine({**docker, "DOCKER_CONTEXT": "far"}) == Engine("unix:///run/far.sock")
    (tmp_path / "config.json").write_text('{"currentContext": "far"}')
    assert own_engine(docker) == Engine("unix:///run/far.sock")
    assert own_engine({**docker, "DOCKER_CONTEXT": "default"}) == Engine(ENGINE)
    assert own_engine({**docker, "DOCKER_HOST": "unix:///run/other.sock"}) == Engine("unix:///run/other.sock")
    certificates = {"DOCKER_HOST": "tcp://far:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
    assert own_engine(certificates) == Engine("tcp://far:2376", "/certs/ca.pem", "/certs/cert.pem", "/certs/key.pem")
    assert plan({"cleanup": {"engine": "yes"}}, docker).cleanup.engine == Engine("unix:///run/far.sock")
    assert plan({}, {**docker, "ECR_REFRESHER_DOCKER_ENGINE": "true"}).dockers[0].engine is not None


@pytest.mark.parametrize(
    ("environ", "gist"),
    [
        ({"DOCKER_CONTEXT": "nowhere"}, "the docker context 'nowhere', which has no address"),
        ({"DOCKER_HOST": "ssh://user@host"}, "forward its socket"),
    ],
)
def test_an_engine_that_can_t_be_reached_is_an_error(environ: dict[str, str], gist: str) -> None:
    found = error({"docker": {"engine": True}}, environ)
    assert found.startswith("docker.engine: ")
    assert gist in found


def test_an_engine_with_a_fifo_for_docker_s_settings_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert own_engine({"DOCKER_CONFIG": str(tmp_path)}) == Engine(ENGINE)


def test_paths_have_variables_and_homes_expanded() -> None:
    written = {
        "airflow": airflow(token_file="$SECRETS/token", ca_file="${SECRETS}/ca.pem"),
        "docker": {"config_file": "$HOME/.docker/config.json"},
        "cleanup": {"state_file": "~/state/$NAME.json"},
    }
    found = plan(written, {"SECRETS": "/run/secrets", "NAME": "uses"})
    assert found.airflows[0].token == SecretRef("file", "/run/secrets/token")
    assert found.airflows[0].ca_file == "/run/secrets/ca.pem"
    assert found.dockers[0].config_file == f"{HOME}/.docker/config.json"
    assert found.cleanup.state_file == f"{HOME}/state/uses.json"


def test_one_registry_goes_to_docker_default() -> None:
    assert plan({"airflow": airflow()}).airflows[0].connections == (Connection("docker_default", "default"),)


@pytest.mark.parametrize(
    ("environ", "config", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}, "", "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "us-west-2"}, "[default]\nregion = eu-west-1\n", "us-west-2"),
        ({}, "[default]\nregion = eu-west-1\n", "eu-west-1"),
        ({"AWS_PROFILE": "data"}, "[default]\nregion=us-west-2\n[profile data]\nregion=eu-west-1\n", "eu-west-1"),
        ({"AWS_PROFILE": "two words"}, '[profile "two words"]\ns3 =\n  x = y\nregion = eu-west-1\n', "eu-west-1"),
        (
            {"AWS_PROFILE": "a", "AWS_DEFAULT_PROFILE": "b"},
            "[profile b]\nregion=eu-west-1\n[profile 'c]\n",
            "eu-west-1",
        ),
    ],
)
def test_the_own_registry_is_in_the_region_that_aws_tools_use(
    tmp_path: Path, environ: dict[str, str], config: str, region: str
) -> None:
    file = tmp_path / "config"
    file.write_text(config)
    found = settings.load(Load(), {"HOME": HOME, "AWS_CONFIG_FILE": str(file), **environ}).plan
    assert found.registries[0].principal.region == region


def test_the_region_is_found_in_the_home_directory_too(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("[default]\nregion = ap-southeast-2\n")
    found = settings.load(Load(), {"HOME": str(tmp_path)}).plan
    assert found.registries[0].principal.region == "ap-southeast-2"


def test_a_region_may_be_said_for_the_own_registry() -> None:
    found = plan({"registries": [{}, {"name": "other", "region": "eu-west-1"}]})
    assert [(registry.name, registry.principal.region) for registry in found.registries] == [
        ("default", "us-east-1"),
        ("other", "eu-west-1"),
    ]


@pytest.mark.parametrize("written", [f"{HOST}, {PARTNER},", [HOST, PARTNER], [{"host": HOST}, {"host": PARTNER}]])
def test_registries_may_be_written_in_three_ways(written: object) -> None:
    assert [registry.host for registry in plan({"registries": written}).registries] == [HOST, PARTNER]


def test_two_roles_may_use_one_registry_by_two_names() -> None:
    role = "arn:aws:iam::210987654321:role/ecr-pull"
    found = plan(
        {
            "registries": [HOST, {"host": HOST, "name": "other", "role_arn": role}],
            "docker": [
                {"config_file": "/a/config.json", "registries": HOST},
                {"config_file": "/b/config.json", "registries": "other"},
            ],
        }
    )
    assert [docker.registries for docker in found.dockers] == [(HOST,), ("other",)]


def test_a_connection_names_its_registry_by_name_or_host() -> None:
    written = {
        "registries": [HOST, {"host": PARTNER, "name": "partner"}],
        "airflow": airflow(connections={"a": "partner", "b": PARTNER, "c": {"registry": HOST}}),
    }
    assert [connection.registry for connection in plan(written).airflows[0].connections] == ["partner", "partner", HOST]


@pytest.mark.parametrize("connections", ["a, b", {"a": None, "b": {}}])
def test_with_one_registry_connections_need_not_name_it(connections: object) -> None:
    found = plan({"airflow": airflow(connections=connections)}).airflows[0].connections
    assert found == (Connection("a", "default"), Connection("b", "default"))


def test_a_secret_is_referred_to_by_file_or_variable() -> None:
    by_file = plan({"airflow": airflow(token_file="~/token")}).airflows[0]
    by_env = plan({"airflow": airflow(token_file=None, username="u", password_env="AIRFLOW_PASSWORD")}).airflows[0]
    assert by_file.token == SecretRef("file", f"{HOME}/token")
    assert (by_env.username, by_env.password) == ("u", SecretRef("env", "AIRFLOW_PASSWORD"))


def test_a_secret_file_that_is_not_there_is_no_error_of_the_settings() -> None:
    assert plan({"airflow": airflow(token_file="/nowhere/token")}).airflows[0].token is not None


def test_two_airflows_may_have_connections_of_the_same_id() -> None:
    found = plan({"airflow": [airflow(name="a"), airflow(name="b", url="https://airflow.example.com/b")]})
    assert [slot.sink for slot in found.slots] == ["airflow/a/docker_default", "airflow/b/docker_default"]


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]:8080"])
def test_plain_http_to_this_host_needs_no_leave(url: str) -> None:
    assert plan({"airflow": airflow(url=url)}).airflows[0].url == url
    assert warnings({"airflow": airflow(url=url)}) == ()


def test_plain_http_to_another_host_is_warned_of_even_with_leave() -> None:
    (warning,) = warnings({"airflow": airflow(url="http://airflow.internal", allow_http=True)})
    assert warning.startswith("airflow.url: is plain http")


@pytest.mark.parametrize(
    ("config_file", "path"),
    [
        ("/etc/docker/", "/etc/docker/config.json"),
        ("/", "/config.json"),
        ("~/.docker/config.json", f"{HOME}/.docker/config.json"),
        ("/etc/../srv/login.json", "/srv/login.json"),
        ("/etc/docker", "/etc/docker/config.json"),
        ("~/.docker", f"{HOME}/.docker/config.json"),
        ("/run/containers/0/auth.json", "/run/containers/0/auth.json"),
    ],
)
def test_a_directory_means_the_config_json_inside_it(config_file: str, path: str) -> None:
    assert plan({"docker": {"config_file": config_file}}).dockers[0].config_file == path


def test_a_file_is_named_from_the_root_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert plan({"docker": {"config_file": "login.json"}}).dockers[0].config_file == str(tmp_path / "login.json")


@pytest.mark.parametrize(
    ("owner", "uid", "gid"),
    [("50000:0", 50000, 0), ("root", 0, 0), ("0", 0, 0), ("987654", 987654, None), ("7:root", 7, 0)],
)
def test_an_owner_is_numbers_or_names(owner: str, uid: int, gid: int | None) -> None:
    found = plan({"docker": {"owner": owner}}, euid=0).dockers[0]
    assert (found.uid, found.gid) == (uid, gid)


def test_a_mode_that_lets_others_read_is_warned_of() -> None:
    (warning,) = warnings({"docker": {"mode": "0640"}})
    assert warning.startswith('docker.mode: "0640" lets others read')
    assert plan({"docker": {"mode": "0640"}}).dockers[0].mode == 0o640


def test_an_engine_over_plain_tcp_is_warned_of() -> None:
    (warning,) = warnings({"docker": {"engine": "tcp://127.0.0.1:2375"}})
    assert warning.startswith("docker.engine: tcp:// without tls_ca")


def test_a_file_that_is_written_unquoted_keeps_its_mode_and_owner() -> None:
    found = plan("docker: {mode: 0600, owner: 50000:0}", euid=0).dockers[0]  # 384 and 3000000 to YAML 1.1
    assert (found.mode, found.uid, found.gid) == (0o600, 50000, 0)


def test_durations_that_tests_need_are_allowed() -> None:
    found = plan(
        {"refresh": {"verify_every": 1, "max_age": "1s", "deadline": 5, "retry_first": "200ms", "retry_max": "1s"}}
    )
    assert found.refresh == Refresh(max_age=1.0, verify_every=1.0, deadline=5.0, retry_first=0.2, retry_max=1.0)


def principal(**keys: object) -> Principal:
    return plan({"registries": [{"host": PARTNER, **keys}]}).registries[0].principal


ROLES = ["arn:aws:iam::123456789012:role/hub", "arn:aws:iam::210987654321:role/ecr-pull"]


@pytest.mark.parametrize(
    ("external_id", "ids"),
    [
        (None, (None, None)),
        ("team", (None, "team")),
        (["hub", "team"], ("hub", "team")),
        (["hub", None], ("hub", None)),
    ],
)
def test_a_list_of_roles_is_a_chain_and_one_external_id_is_for_its_last(
    external_id: object, ids: tuple[str | None, str | None]
) -> None:
    found = principal(role_arn=ROLES, external_id=external_id, role_session_name="airflow")
    assert found.roles == tuple(Role(arn, given, "airflow") for arn, given in zip(ROLES, ids, strict=True))


def test_all_that_decides_how_ecr_is_reached_makes_the_principal() -> None:
    assert principal(profile="data", use_fips="yes", use_dualstack="no", ca_file="/ca.pem") == Principal(
        "ecr", "eu-west-1", profile="data", use_fips=True, use_dualstack=False, ca_file="/ca.pem"
    )
    assert principal(endpoint_url="https://vpce.example/") == Principal(
        "ecr", "eu-west-1", endpoint_url="https://vpce.example"
    )


@pytest.mark.parametrize(
    ("urls", "of_the_api"),
    [
        ({}, True),
        ({"registry_url": "https://r"}, False),
        ({"endpoint_url": "https://e"}, True),
        ({"registry_url": "https://r", "endpoint_url": "https://e"}, True),
    ],
)
def test_a_ca_file_is_for_the_servers_that_the_settings_name(urls: dict[str, str], of_the_api: bool) -> None:
    assert (principal(ca_file="/ca.pem", **urls).ca_file is not None) is of_the_api


def test_aliases_are_registries_of_the_same_principal_in_every_file_that_holds_theirs() -> None:
    found = plan({"registries": [{"host": HOST, "aliases": "yes"}, PARTNER], "docker": {"registries": [HOST]}})
    names = ("dkr.ecr-fips.us-east-1.amazonaws.com", "dkr-ecr.us-east-1.on.aws", "dkr-ecr-fips.us-east-1.on.aws")
    assert found.dockers[0].registries == (HOST, *(f"123456789012.{name}" for name in names))
    assert len({registry.principal for registry in found.registries if registry.host != PARTNER}) == 1


def test_the_own_registry_of_a_profile_is_in_the_profiles_region(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[profile data]\nregion = eu-west-1\n")
    written = tmp_path / "settings.yaml"
    written.write_text("registries: [{profile: data}]")
    found = settings.load(Load(str(written)), {**SURROUNDINGS, "AWS_CONFIG_FILE": str(tmp_path / "config")}).plan
    assert found.registries[0].principal == Principal("ecr", "eu-west-1", profile="data")
