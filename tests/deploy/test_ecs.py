"""The ECS task definition is what AWS takes, and means what docs/ecs.md says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from ecr_refresher import options
from ecr_refresher.core import wire
from ecr_refresher.core.plan import Plan
from ecr_refresher.job import settings

FILE = Path(__file__).parents[2] / "deploy" / "ecs" / "task-definition.json"


@pytest.fixture
def task() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(FILE.read_text())
    return parsed


def containers(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {container["name"]: container for container in task["containerDefinitions"]}


def problems_of(task: dict[str, Any]) -> str:
    """What botocore's own model of `register_task_definition` has against it."""
    model = botocore.session.get_session().get_service_model("ecs")
    shape: Any = model.operation_model("RegisterTaskDefinition").input_shape
    report = ParamValidator().validate(task, shape)
    return "\n".join([report.generate_report(), *foreign_words(task, shape)]).strip()


def foreign_words(value: Any, shape: Any) -> list[str]:
    """Texts that are none of their enum's: botocore leaves these to the service."""
    if shape.type_name == "structure":
        known = value.keys() & shape.members
        return [word for name in known for word in foreign_words(value[name], shape.members[name])]
    if shape.type_name == "list":
        return [word for one in value for word in foreign_words(one, shape.member)]
    return [f"{value} is no {shape.name}"] if getattr(shape, "enum", None) and value not in shape.enum else []


def test_aws_takes_it(task: dict[str, Any]) -> None:
    assert problems_of(task) == ""


def test_a_wrong_one_would_be_seen(task: dict[str, Any]) -> None:
    first = task["containerDefinitions"][0]
    first["dependsOn"] = [{"containerName": "x", "condition": "DONE"}]
    first["memory"] = "160"
    first["healthcheck"] = {}
    said = problems_of(task)
    for part in ("DONE is no ContainerCondition", "Invalid type for parameter", "Unknown parameter"):
        assert part in said


def test_airflow_waits_for_the_login_and_lives_without_the_refresher(task: dict[str, Any]) -> None:
    found = containers(task)
    once, refresher, worker = found["docker-login"], found["ecr-refresher"], found["airflow-worker"]
    assert options.parse(once["command"]).command == "once"
    assert options.parse(refresher["command"]).command == "run"
    assert worker["dependsOn"] == [{"containerName": "docker-login", "condition": "SUCCESS"}]
    assert [name for name, container in found.items() if container["essential"]] == ["airflow-worker"]
    assert refresher["restartPolicy"]["enabled"], "nobody else restarts a container that is not essential"
    assert task["taskRoleArn"]


def test_the_refresher_s_health_is_asked_as_the_image_does(task: dict[str, Any]) -> None:
    check = containers(task)["ecr-refresher"]["healthCheck"]
    in_image = f"CMD {json.dumps([*check['command'][1:], '--pause=5m'])}"
    assert in_image in (FILE.parents[2] / "Dockerfile").read_text()
    assert check["interval"] == 300, "ECS allows no check more than 60 s, so it can't pause"
    given = options.parse(check["command"][2:])
    assert (given.command, given.live) == ("status", True)


def plan_of(container: dict[str, Any]) -> tuple[Plan, tuple[str, ...]]:
    environ = {one["name"]: one["value"] for one in container["environment"]}
    loaded = settings.load(wire.Load(), {"DOCKER_CONFIG": "/docker", **environ})  # the image sets this one
    return loaded.plan, tuple(map(str, loaded.warnings))


def test_both_write_the_file_that_airflow_s_docker_client_reads(task: dict[str, Any]) -> None:
    found = containers(task)
    worker = found["airflow-worker"]
    environ = {one["name"]: one["value"] for one in worker["environment"]}
    mounts = {mount["containerPath"]: mount for mount in worker["mountPoints"]}
    for name in ("docker-login", "ecr-refresher"):
        plan, warnings = plan_of(found[name])
        assert [slot.sink for slot in plan.slots] == ["docker//docker/config.json"]
        assert warnings == ()
        (mount,) = found[name]["mountPoints"]
        assert mount["containerPath"] == "/docker"
        assert mounts[environ["DOCKER_CONFIG"]] == mount | {"readOnly": True}
        assert found[name]["user"] == "50000:0", "Airflow's own user, who must read a file of mode 0600"
        assert found[name]["readonlyRootFilesystem"]
    assert {mount["sourceVolume"] for one in found.values() for mount in one["mountPoints"]} == {
        volume["name"] for volume in task["volumes"]
    }
