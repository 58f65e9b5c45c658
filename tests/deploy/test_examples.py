"""The examples do what they show: with real Airflows, the real parser of settings, compose and Terraform's grammar."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from tests.testbed import parts
from tests.testbed.airflow_flavours import AIRFLOW_2, SIMPLE, Flavour
from tests.testbed.airflow_settings import airflow_environment
from tests.testbed.daemon import Product
from tests.unit.job import settings_reader

EXAMPLES = parts.REPOSITORY / "examples"
COMPOSE = EXAMPLES / "docker-compose"
HOST, PARTNER = settings_reader.HOST, settings_reader.PARTNER

# Run by the Airflow's own Python: every DAG and task that its DagBag finds, and every import error.
DAG_BAG = """
import json, sys
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
bag = DagBag(sys.argv[1])
fields = ("image", "docker_conn_id", "docker_url", "bash_command")
dags = {
    name: {task.task_id: {field: getattr(task, field, None) for field in fields} for task in dag.tasks}
    for name, dag in bag.dags.items()
}
print("FOUND", json.dumps({"errors": bag.import_errors, "dags": dags}))
"""


def dag_bag(flavour: Flavour, dags: Path, home: Path) -> Any:
    missing = flavour.missing()
    if missing is not None:
        parts.give_up(missing)
    done = subprocess.run(
        [str(flavour.venv / "bin" / "python"), "-c", DAG_BAG, str(dags)],
        env=airflow_environment(home, flavour),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("FOUND ")[2])


# --- DAGs


@pytest.mark.real("airflow")
@pytest.mark.parametrize("flavour", [SIMPLE, AIRFLOW_2], ids=lambda flavour: flavour.version)
def test_airflow_finds_every_dag_and_no_error(flavour: Flavour, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "dags", tmp_path / "dags")
    (tmp_path / "dags" / "wrong.py").write_text("from airflow import nothing_of_that_name  # airflow's DAG\n")
    found = dag_bag(flavour, tmp_path / "dags", tmp_path)
    assert [Path(file).name for file in found["errors"]] == ["wrong.py"], "only the one that must be found"
    dags = found["dags"]
    assert set(dags) == {path.stem for path in (EXAMPLES / "dags").glob("*.py")}
    (by_connection,) = dags["pull_by_connection"].values()
    assert by_connection["docker_conn_id"] == "docker_default"
    assert by_connection["image"] == f"{HOST}/web_scraper:latest"
    by_config = dags["pull_by_config_json"].values()
    assert {task["docker_conn_id"] for task in by_config} == {None}
    assert {task["image"].partition("/")[0] for task in by_config} == {HOST, PARTNER, "public.ecr.aws"}
    (by_secret,) = dags["pull_by_secret"].values()
    assert by_secret["image"] == f"{HOST}/web_scraper:latest"
    assert dags["cleanup_no_longer_needed"]["prune"]["bash_command"].startswith("docker system prune")


# --- settings


@pytest.mark.parametrize("file", sorted((EXAMPLES / "settings").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_real_parser_takes_every_settings_file(file: Path) -> None:
    plan, warnings = settings_reader.load(file.read_bytes(), euid=0)
    assert warnings == ()
    sinks = {slot.sink.partition("/")[0] for slot in plan.slots}
    assert (
        sinks
        == {
            "ec2-host": {"airflow", "docker"},
            "publisher": {"airflow"},
            "sidecar": {"docker"},
            "secrets-backends": {"airflow"},
            "kubernetes": {"kubernetes"},
        }[file.stem]
    )


# --- docker-compose


def composed() -> Any:
    return yaml.safe_load((COMPOSE / "docker-compose.yaml").read_text())


@pytest.mark.real("compose")
def test_compose_takes_the_composition_and_refuses_a_wrong_one(tmp_path: Path) -> None:
    if not parts.COMPOSE.exists():
        parts.give_up(f"compose: {parts.COMPOSE} is not there; run `make prepare` as root on Debian")

    def config(file: Path) -> subprocess.CompletedProcess[str]:
        command = [str(parts.COMPOSE), "--file", str(file), "config", "--quiet"]
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, env=env, check=False)

    done = config(COMPOSE / "docker-compose.yaml")
    assert done.returncode == 0, done.stderr
    wrong = composed()
    wrong["services"]["ecr-refresher"]["read_onyl"] = True
    (tmp_path / "wrong.yaml").write_text(json.dumps(wrong))
    assert "read_onyl" in config(tmp_path / "wrong.yaml").stderr


def test_the_composition_s_airflow_reads_what_the_sidecar_writes() -> None:
    services = composed()["services"]
    ours, airflow = services["ecr-refresher"], services["airflow"]
    (shared,) = set(ours["volumes"]) & set(airflow["volumes"])
    assert shared == "docker-login:/home/airflow/.docker"
    assert ours["user"] == "50000:0"
    assert services["login-directory"]["entrypoint"] == ["chown", "50000:0", "/home/airflow/.docker"]
    given = dict(ours["environment"])
    assert given["ECR_REFRESHER_CONFIG"] == "/etc/ecr-refresher/settings.yaml"
    assert "./settings:/etc/ecr-refresher:ro" in ours["volumes"]
    plan, warnings = settings_reader.load((COMPOSE / "settings" / "settings.yaml").read_bytes(), euid=50000)
    assert [warning for warning in warnings if "http" not in warning] == []
    assert [slot.sink for slot in plan.slots] == [
        "docker//home/airflow/.docker/config.json",
        "airflow/default/docker_default",
    ]
    (of_airflow,) = plan.airflows
    assert of_airflow.secret_paths == {f"/run/secrets/{name}" for name in ours["secrets"]}
    users = airflow["environment"]["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    assert f"{of_airflow.username}:op" in users.split(",")


# --- Terraform


def terraform() -> dict[str, list[Any]]:
    """All blocks of the module, by their kind."""
    blocks: dict[str, list[Any]] = {}
    for file in sorted((EXAMPLES / "terraform").glob("*.tf")):
        with file.open() as text:
            for kind, found in hcl2.load(text).items():
                blocks.setdefault(kind, []).extend(found if isinstance(found, list) else [found])
    return blocks


def strings(node: Any) -> Iterator[str]:
    """Every string within, its quotes off."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield key.strip('"')
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node.strip('"')


def test_terraform_s_grammar_takes_the_module_and_its_names_fit_together() -> None:
    blocks = terraform()
    variables = {name.strip('"') for block in blocks["variable"] for name in block}
    text = "\n".join(strings(blocks))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == variables
    made = {
        (kind.strip('"'), name.strip('"'))
        for block in blocks["resource"]
        for kind, named in block.items()
        for name in named
    }
    assert set(re.findall(r"(?<!data\.)\b(aws_\w+)\.(\w+)", text)) <= made
    documents = {name.strip('"') for block in blocks["data"] for named in block.values() for name in named}
    assert set(re.findall(r"data\.aws_iam_policy_document\.(\w+)", text)) == documents


def test_terraform_grants_what_the_product_itself_asks_for(product: Product) -> None:
    (documents,) = (block for block in terraform()["data"] if "pull" in set(strings(block)))
    (pull,) = (body for named in documents.values() for name, body in named.items() if name.strip('"') == "pull")
    actions = {text for text in strings(pull) if re.fullmatch(r"[a-z]+:\w+", text)}
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/web_scraper"
    role = "arn:aws:iam::210987654321:role/ecr-pull"
    done = product.run_cli("iam-policy", "pull", "--repository", arn, "--assume-role", role)
    assert done.exit_code == 0, done.stderr
    assert actions == {action for statement in done.json()["Statement"] for action in statement["Action"]}


def test_terraform_would_not_format_it_otherwise(tmp_path: Path) -> None:
    if shutil.which("terraform") is None:
        parts.give_up("terraform; it can't be had from PyPI, npm or Debian")
    command = ["terraform", f"-chdir={EXAMPLES / 'terraform'}", "fmt", "-check", "-diff"]
    env = {"HOME": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin", "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
