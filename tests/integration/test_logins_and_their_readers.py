"""The login as real readers use it: Docker's engine, Podman's, skopeo; and what the user's own files may do to it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ecr_refresher.core import plan
from ecr_refresher.core.model import Credential, Failed, Reason, Secret
from ecr_refresher.job.net import engine as job_engine
from tests.testbed import parts
from tests.testbed.daemon import Finished
from tests.testbed.engine import Engine
from tests.testbed.podman import podman_service
from tests.testbed.registry import HOST, Registry
from tests.testbed.standins.honest.ecr import EcrStandIn

pytestmark = pytest.mark.real("engine, registry")
RunCli = Callable[..., Finished]


def settings(directory: Path, engine: str, **more: Any) -> dict[str, Any]:
    return {
        "registries": [HOST],
        "docker": {"config_file": str(directory / "docker" / "config.json"), "engine": engine},
        **more,
    }


@pytest.fixture
def helper(tmp_path: Path) -> Callable[[str], Path]:
    """`helper("memo")` makes a credential helper that keeps one login; returns its directory."""

    def make(name: str) -> Path:
        program = tmp_path / "bin" / f"docker-credential-{name}"
        program.parent.mkdir()
        kept = tmp_path / "kept"
        program.write_text(
            f"#!/bin/sh\ncase $1 in store) cat > {kept} ;; "
            f"get) cat {kept} 2>/dev/null || {{ echo 'credentials not found in native keychain'; exit 1; }} ;; esac\n"
        )
        program.chmod(0o755)
        return program.parent

    return make


@pytest.mark.parametrize(
    "users", [{"auths": {"ghcr.io": {"auth": ""}}}, {"auths": {"ghcr.io": None}}, {"credsStore": "not-installed"}]
)
def test_neither_the_engines_proof_nor_a_cleanup_reads_the_users_own_file(
    engine: Engine, registry: Registry, ecr: EcrStandIn, run_cli: RunCli, tmp_path: Path, users: dict[str, Any]
) -> None:
    own = tmp_path / "own" / "config.json"
    own.parent.mkdir()
    own.write_text(json.dumps(users))
    given = settings(tmp_path, engine.url, cleanup={"engine": engine.url, "state_file": f"{tmp_path}/state"})
    env = {**registry.environment(), "DOCKER_CONFIG": str(own.parent)}
    once = run_cli("once", settings=given, ecr_url=ecr.url, env=env)
    assert once.exit_code == 0, once.stderr
    assert "proof_failed" not in once.stderr
    cleanup = run_cli("cleanup", "--dry-run", settings=given, ecr_url=ecr.url, env=env)
    assert cleanup.exit_code == 0, cleanup.stdout + cleanup.stderr
    assert own.read_text() == json.dumps(users)


@pytest.mark.parametrize(
    ("keys", "entry", "advice"),
    [
        ({"credSstore": "memo"}, "docker-credential-memo", "Write the keys as credsStore and credHelpers"),
        ({"credsstore": "memo"}, "docker-credential-memo", "Write the keys as credsStore and credHelpers"),
        ({"credhelpers": {HOST: "memo"}}, "docker-credential-memo", "Write the keys as credsStore and credHelpers"),
        ({"credHelpers": {HOST: ""}}, HOST, None),
        ({"credHelpers": {HOST: ""}, "credsStore": "memo"}, HOST, "Remove that host from credHelpers"),
    ],
    ids=str,
)
def test_the_docker_command_pulls_whatever_names_its_helper_and_check_says_what_docker_py_stumbles_over(
    engine: Engine,
    registry: Registry,
    ecr: EcrStandIn,
    run_cli: RunCli,
    helper: Callable[[str], Path],
    tmp_path: Path,
    keys: dict[str, Any],
    entry: str,
    advice: str | None,
) -> None:
    registry.book.life_s = 3600
    given = settings(tmp_path, engine.url)
    file = tmp_path / "docker" / "config.json"
    file.parent.mkdir()
    file.write_text(json.dumps(keys))
    env = {
        **registry.environment(),
        "PATH": f"{helper('memo')}:{os.environ['PATH']}",
        "DOCKER_CONFIG": str(file.parent),
    }
    once = run_cli("once", settings=given, ecr_url=ecr.url, env=env)
    assert once.exit_code == 0, once.stderr
    if entry == HOST:  # an old login that docker-py finds where a store is named
        (tmp_path / "kept").write_text('{"Username": "AWS", "Secret": "an-old-one"}')
    engine.docker("rmi", "-f", registry.image)
    pull = engine.docker("pull", registry.image, config=file.parent, env=env)
    assert pull.returncode == 0, pull.stderr
    checked = run_cli("check", "--json", settings=given, ecr_url=ecr.url, env=env)
    assert checked.exit_code == 0, checked.stdout
    (row,) = [row for row in checked.json()["legs"] if row["leg"] == "reader"]
    docker, docker_py = row["findings"][:2]
    assert f"docker finds this login as '{entry}'" in docker["text"]
    if advice is None:
        assert docker_py["verdict"] == "ok"
    else:
        assert docker_py["verdict"] == "warning"
        assert docker_py["fix"].startswith(advice)


def test_a_running_container_that_mounts_the_very_file_is_named(
    engine: Engine, registry: Registry, ecr: EcrStandIn, run_cli: RunCli, tmp_path: Path
) -> None:
    given = settings(tmp_path, engine.url)
    assert run_cli("once", settings=given, ecr_url=ecr.url, env=registry.environment()).exit_code == 0
    file = tmp_path / "docker" / "config.json"
    mounts = {"reader": f"{file}:/config.json:ro", "fine": f"{file.parent}:/docker:ro"}
    for name, mount in mounts.items():
        run = engine.docker("run", "-d", "--name", name, "-v", mount, engine.image, "sleep", "300")
        assert run.returncode == 0, run.stderr
    try:
        checked = run_cli("check", "--json", settings=given, ecr_url=ecr.url, env=registry.environment())
    finally:
        engine.docker("rm", "-f", *mounts)
    (row,) = [row for row in json.loads(checked.stdout)["legs"] if row["leg"] == "mounts"]
    (finding,) = row["findings"]
    assert finding["verdict"] == "warning"
    assert finding["text"].startswith("reader mounts the file itself")
    assert f"Mount its directory {file.parent} there instead" in finding["fix"]


def test_podman_and_skopeo_pull_with_the_file_over_three_renewals_and_podmans_engine_proves_it(
    engine: Engine, registry: Registry, ecr: EcrStandIn, run_cli: RunCli, tmp_path: Path, open_path: Path
) -> None:
    auth = str(tmp_path / "docker" / "config.json")
    with podman_service(open_path, registry.environment()) as (url, podman, environ):
        given = settings(tmp_path, url)
        for _ in range(3):
            once = run_cli("once", "--force", settings=given, ecr_url=ecr.url, env=registry.environment())
            assert once.exit_code == 0, once.stderr
            assert "proof_failed" not in once.stderr
            for command in (
                [*podman, "pull", "--authfile", auth, registry.image],
                [str(parts.SKOPEO), "inspect", "--authfile", auth, f"docker://{registry.image}"],
            ):
                done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
        asked = plan.Engine(url)
        assert job_engine.version(asked).startswith("Podman 4.")
        wrong = Credential("AWS", Secret("not a token of this registry"), 0.0, 1.0)
        with pytest.raises(Failed) as caught:
            job_engine.login(asked, HOST, wrong)
    assert caught.value.failure.reason is Reason.DENIED
    assert "the registry refused the token" in caught.value.failure.message
    assert "Docker" not in str(caught.value)
