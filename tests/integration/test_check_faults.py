"""Each prepared fault is found by `check` on the real parts and named right, and the fix that it names fixes it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.check_faults import FAULTS, Fault
from tests.integration.check_world import World, environment
from tests.integration.conftest import Airflows
from tests.integration.settings import CONNECTION
from tests.testbed.airflow_flavours import SIMPLE
from tests.testbed.daemon import Product
from tests.testbed.engine import Engine
from tests.testbed.processes import Record, remove_tree
from tests.testbed.registry import Registry
from tests.testbed.secret_hunt import Outputs, Secrets
from tests.testbed.standins.ecr import EcrStandIn
from tests.testbed.standins.tokens import TokenBook

pytestmark = [pytest.mark.real("airflow, engine, registry"), pytest.mark.xdist_group("beside")]


@pytest.fixture(scope="module")
def delivered(
    airflows: Airflows,
    engine_server: Engine,
    registry_server: Registry,
    book: TokenBook,
    outputs: Outputs,
    secrets_seen: Secrets,
    record: Record,
) -> Iterator[World]:
    """Everything up, one token delivered everywhere, and nothing wrong."""
    directory = Path(tempfile.mkdtemp(prefix="ecrtb-"))  # pytest's own ones are closed to other users
    directory.chmod(0o755)
    record.directory(directory)
    product = Product(directory, "check", outputs, secrets_seen, record)
    airflow = airflows.running(SIMPLE)
    airflow.delete_all_connections()
    if not engine_server.running:
        engine_server.start()
    registry_server.front.heal()
    book.life_s = 43_200
    with EcrStandIn(book) as ecr:
        secrets_seen.follow(ecr.sts.secrets)
        config_file, good = directory / "docker" / "config.json", directory / "good"
        env = environment(registry_server, ecr, config_file)
        settings = {"registries": [registry_server.host], "docker": {"config_file": str(config_file)}}
        world = World(directory, product, airflow, engine_server, registry_server, ecr, book, good, None, settings, env)  # type: ignore[arg-type]
        world.settings["airflow"] = world.to_airflow("oper")
        world.once()
        shutil.copytree(config_file.parent, good)
        stored = airflow.db_connection(CONNECTION)
        assert stored is not None
        world.connection = stored
        yield world
    assert ecr.crashes == []
    book.life_s = 20
    product.close()
    remove_tree(directory)
    record.directory_gone(directory)


@pytest.fixture
def world(delivered: World) -> Iterator[World]:
    world = delivered
    world.env = environment(world.registry, world.ecr, world.config_file)
    world.prefix, world.reader = (), False
    world.restore()
    yield world
    for target in (world.config_file, world.config_file.parent):
        subprocess.run(["umount", "-l", str(target)], check=False, capture_output=True)
    os.chown(world.engine.socket, 0, 0)
    world.restore()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name.replace(" ", "-") for fault in FAULTS])
def test_the_fault_is_found_and_its_fix_fixes_it(fault: Fault, world: World) -> None:
    {
        "docker": world.use_docker,
        "engine": lambda: world.use_docker(engine=True),
        "airflow": world.use_airflow,
        "reader": world.read,
    }[fault.needs]()
    fault.spoil(world)

    status, found = world.check()
    named = [
        one
        for one in found
        if one.leg == fault.leg and fault.said in one.text and fault.advised.lower() in one.fix.lower()
    ]
    assert {one.verdict for one in named} == {fault.verdict}, found
    assert {one.leg for one in found} == {fault.leg, fault.also} - {None}, "more is said to be wrong than is"
    assert status == (2 if fault.leg == "settings" else int(any(one.verdict == "failed" for one in found)))

    fault.fix(world)
    assert world.check() == (0, [])
