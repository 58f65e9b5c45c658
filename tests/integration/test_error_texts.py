"""The texts by which docs/troubleshooting.md is searched at night are those of the real engine and Airflow."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import docker
import pytest
from docker.errors import APIError

from tests.docs.pages import ROOT
from tests.testbed import parts
from tests.testbed.airflow_flavours import SIMPLE
from tests.testbed.engine import Engine
from tests.testbed.registry import Registry
from tests.testbed.standins.tokens import IssuedToken

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()


def on_the_page(text: str) -> str:
    """The text, which must stand on the page as it is; lines may break in it."""
    assert re.sub(r"\s+", " ", text) in re.sub(r"\s+", " ", PAGE)
    return text


def holding(directory: Path, registry: Registry, token: IssuedToken) -> Path:
    """A directory whose config.json holds this token, good or not."""
    auth = base64.b64encode(f"AWS:{token.password}".encode()).decode()
    (directory / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
    return directory


@pytest.mark.real("engine, registry")
def test_docker_s_own_words(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    nothing = engine.docker("pull", registry.image, config=tmp_path)
    assert nothing.returncode != 0
    assert on_the_page("no basic auth credentials") in nothing.stderr

    expired = registry.book.issue(life_s=-1)
    refused = engine.docker("pull", registry.image, config=holding(tmp_path, registry, expired))
    repository = registry.image.partition(":")[0]
    shown = on_the_page("pull access denied for …, repository does not exist or may require 'docker login'")
    assert shown.replace("…", repository) in refused.stderr
    assert (
        "denied: " + on_the_page("Your authorization token has expired. Reauthenticate and try again.")
        in refused.stderr
    )

    client = docker.DockerClient(engine.url, version="auto")
    try:
        with pytest.raises(APIError) as failed:  # as DockerHook does it, for a docker_conn_id
            client.login("AWS", expired.password, registry=registry.host, reauth=True)
    finally:
        client.close()
    shown = on_the_page("login attempt to https://…/v2/ failed with status: 403 Forbidden")
    assert shown.replace("…", registry.host) in str(failed.value)


def test_airflow_s_own_words() -> None:
    """They stand in the source of Airflow 3 and of its docker provider."""
    if reason := SIMPLE.missing():
        parts.give_up(reason)
    packages = next((parts.TESTBED / f"airflow-{SIMPLE.version}").glob("lib/python3*/site-packages/airflow"))
    on_the_page("The conn_id `docker_default` isn't defined")
    assert "The conn_id `{conn_id}` isn't defined" in (packages / "sdk/definitions/connection.py").read_text()
    hook = (packages / "providers/docker/hooks/docker.py").read_text()
    assert on_the_page("No Docker Registry URL provided.") in hook
    assert on_the_page("No Docker Registry username provided.") in hook
