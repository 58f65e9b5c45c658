"""`config show` and `iam-policy` as commands: what they print, and how wrong settings end them.

That what is shown means the same as what was read is tried for every settings file of the tests, in `settings_reader`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecr_refresher.core.wire import Load
from ecr_refresher.job import settings
from ecr_refresher.job.aws import iam_policy
from ecr_refresher.job.commands import documents
from ecr_refresher.job.commands.foreground import Result
from ecr_refresher.job.settings import effective
from tests.unit.job.settings_reader import HOST, PARTNER, SURROUNDINGS, error

SETTINGS = f"""
registries:
  - {HOST}
  - {{host: {PARTNER}, name: partner, external_id: team, role_arn: arn:aws:iam::210987654321:role/ecr-pull}}
airflow:
  url: https://airflow.example.com
  username: ecr-refresher
  password_file: ~/airflow-password
  connections: {{docker_partner: {{registry: partner, create: no}}}}
refresh: {{verify_every: 90}}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)
    written = tmp_path / "settings.yaml"
    written.write_text(SETTINGS)
    return str(written)


def shown(file: str | None, **environ: str) -> list[str]:
    loaded = settings.load(Load(file, "debug"), {**SURROUNDINGS, **environ})
    return [line.strip() for line in effective.text(loaded).splitlines()]


def test_remarks_say_where_a_value_came_from(file: str) -> None:
    lines = shown(file, ECR_REFRESHER_LISTEN=":9719", ECR_REFRESHER_AIRFLOW_TOKEN="hunter2")
    assert lines[0] == f"# The settings in effect, from {file} and the environment."
    assert f"- host: {HOST}" in lines
    assert f"name: {HOST}  # default" in lines
    assert "verify_every: 90s" in lines or "verify_every: 1m30s" in lines
    assert "listen: :9719  # ECR_REFRESHER_LISTEN" in lines
    assert "token_env: ECR_REFRESHER_AIRFLOW_TOKEN  # ECR_REFRESHER_AIRFLOW_TOKEN" in lines
    assert "level: debug  # --log-level" in lines
    assert "create: false" in lines
    assert "required: true  # default" in lines
    assert not [line for line in lines if "hunter2" in line or "password" in line]


def test_what_depends_on_the_surroundings_is_filled_in(file: str) -> None:
    assert "password_file: /home/airflow/airflow-password" in shown(file)
    assert shown(None)[0] == "# The settings in effect, from the environment alone."
    assert {
        "- region: us-east-1  # AWS_REGION",
        "- config_file: /home/airflow/.docker/config.json  # default",
    } <= set(shown(None))


def test_external_ids_are_masked(file: str) -> None:
    lines = shown(file)
    assert "- '***'" in lines
    assert "team" not in lines


def test_a_secret_in_a_wrong_place_is_masked(file: str) -> None:
    key = "AKIAIOSFODNN7EXAMPLE"
    assert "username: '***'  # ECR_REFRESHER_AIRFLOW_USERNAME" in shown(
        file, ECR_REFRESHER_AIRFLOW_USERNAME=key, ECR_REFRESHER_AIRFLOW_PASSWORD="x"
    )


def test_the_command_shows_warnings_apart(
    file: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECR_REFRESHER_LISTN", "x")
    done = documents.show(Load(file))
    assert done.status == 0
    assert str(done.page).startswith("# The settings in effect")
    assert "Did you mean 'ECR_REFRESHER_LISTEN'" in capfd.readouterr().err


def test_wrong_settings_end_both_commands_with_2(file: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path(file).write_text("registrys: []\nrefresh: {deadline: 1 hour}")
    for command in (documents.show, lambda source: documents.policy(source, iam_policy.Wanted("pull"), (), ())):
        assert command(Load(file)) == Result(2)
        assert sorted(capfd.readouterr().err.splitlines()) == [
            "ecr-refresher: settings: refresh.deadline: is not a duration. Write e.g. 90s, 5m, 1h30m or 1d",
            "ecr-refresher: settings: registrys: is not a known key. Did you mean 'registries'?",
        ]


def test_the_schema_is_printed_as_json() -> None:
    assert json.loads(str(documents.schema().page))["title"] == "Settings of ecr-refresher"


def test_a_policy_of_what_is_named(file: str) -> None:
    done = documents.policy(Load("/no/such/file"), iam_policy.Wanted("push"), (f"{HOST}/a", f"{HOST}/a"), ())
    assert done.status == 0
    (push,) = (each for each in json.loads(str(done.page))["Statement"] if each["Sid"] == "EcrPush")
    assert push["Resource"] == ["arn:aws:ecr:us-east-1:123456789012:repository/a"]


def test_a_policy_of_what_the_settings_name(file: str) -> None:
    done = documents.policy(Load(file), iam_policy.Wanted("pull"), (), ())
    assert done.status == 0
    assert {each["Sid"]: each["Resource"] for each in json.loads(str(done.page))["Statement"]} == {
        "EcrLogin": "*",
        "EcrPull": ["arn:aws:ecr:us-east-1:123456789012:repository/*"],
        "AssumeRoles": ["arn:aws:iam::210987654321:role/ecr-pull"],
    }


def test_every_fault_of_a_policy_s_command_line_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    wanted = iam_policy.Wanted("pull")
    assert documents.policy(Load(), wanted, ("web", f"{HOST}/web:latest", f"{HOST}/ok"), ("ecr-pull",)) == Result(2)
    told = capfd.readouterr().err
    for gist in ("'web' is neither", "has a tag", "'ecr-pull' is no ARN of a role"):
        assert gist in told
    assert documents.policy(Load(), iam_policy.Wanted("pull", create_repository=True), (f"{HOST}/ok",), ()).status == 2
    assert "applies only to push" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        ("deadline", "soon", "Write e.g. 90s, 5m, 1h30m or 1d"),
        ("deadline", "1h", "Write a duration from 5s to 10m"),
        ("deadlin", "1m", "Did you mean 'deadline'?"),
    ],
)
def test_errors_name_units_and_the_key_that_was_meant(key: str, value: str, fix: str) -> None:
    assert fix in error({"refresh": {key: value}})


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "ecr_refresher", *words]
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("ECR_REFRESHER_")}
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)


def test_the_commands_by_the_command_line(file: str) -> None:
    done = run("config", "show", "--config", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"# The settings in effect, from {file}")
    done = run("iam-policy", "push", "--repository", f"{HOST}/a", "--create-repository")
    assert [each["Sid"] for each in json.loads(done.stdout)["Statement"]] == [
        "EcrLogin",
        "EcrPush",
        "EcrCreateRepository",
    ]
    done = run("iam-policy", "pull", "--repository", "web")
    assert (done.returncode, done.stdout) == (2, "")
