"""The house of DESIGN 4, read from its imports: core below, daemon and job side by side on it, the roof on top."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ecr_refresher
from tests.testbed.daemon import MEASURING

PACKAGE = "ecr_refresher"
ROOT = Path(ecr_refresher.__file__).parent
ROOF = {"cli", "options", "__main__"}
COMMON = {"", "core", "logs", "boot_clock", "terminal", "memory"}  # what several wings stand on
WINGS = {"daemon", "job", "standins", "status"}
SDKS = {
    "airflow_client",
    "boto3",
    "botocore",
    "docker",
    "kubernetes",
    "pydantic",
    "pydantic_core",
    "requests",
    "urllib3",
    "yaml",
}
MODULES_MAX = 12


def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name, without the package's own."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = ast.parse(path.read_text(), str(path))
    return found


MODULES = modules()


def imported(name: str) -> Iterator[str]:
    """What a module imports, wherever in it, by absolute names; `from x import y` gives `x.y`."""
    is_package = (ROOT / name.replace(".", "/") / "__init__.py").exists()
    own = [PACKAGE, *name.split(".")] if name else [PACKAGE]
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                base = own[: len(own) - node.level + is_package] + base
            yield from (".".join([*base, alias.name]) for alias in node.names)


def inside(name: str) -> set[str]:
    """What a module imports of the package: module names as in MODULES."""
    found = set()
    for target in imported(name):
        if target == PACKAGE or target.startswith(PACKAGE + "."):
            own = target.removeprefix(PACKAGE).lstrip(".")
            while own not in MODULES:
                own = own.rpartition(".")[0]
            found.add(own)
    return found


def outside(name: str) -> set[str]:
    """The top names of all else that it imports, the standard library left out."""
    tops = {target.split(".")[0] for target in imported(name)}
    return tops - {PACKAGE, "__future__"} - sys.stdlib_module_names


def wing(name: str) -> str:
    return name.partition(".")[0]


def of_wing(*wings: str) -> list[str]:
    return [name for name in MODULES if wing(name) in wings]


def under(*folders: str) -> list[str]:
    """The modules in these folders, given with dots."""
    return [name for name in MODULES if any(f"{name}.".startswith(f"{folder}.") for folder in folders)]


def libraries(names: list[str]) -> set[str]:
    return set[str]().union(*(outside(name) for name in names))


def trespasses(names: list[str], *allowed: str) -> dict[str, set[str]]:
    """The modules that import something of the package beside their own wing and what is allowed."""
    found = {name: {other for other in inside(name) if wing(other) not in {wing(name), *allowed}} for name in names}
    return {name: others for name, others in found.items() if others}


def folders() -> dict[str, Path]:
    return {str(path.parent.relative_to(ROOT)): path for path in ROOT.rglob("__init__.py")}


# --- rooms -----------------------------------------------------------------------------------------------------------
def test_the_house_has_the_rooms_that_this_page_knows() -> None:
    assert {wing(name) for name in MODULES} == COMMON | WINGS | ROOF
    for room in ("core", "daemon.machine", "daemon.web", "job.refresh", "job.sinks.airflow"):
        assert len(under(room)) > 3


def test_imports_are_read_wherever_they_stand() -> None:
    assert "job.worker" in inside("cli")  # within a function
    assert "core.model" in inside("core.wire")  # relative
    assert "core.model" in inside("job.aws.ecr")  # from two floors up
    assert "botocore" in outside("job.aws.clients")
    assert "" in inside("daemon.web.view")  # the version


def test_a_folder_holds_a_dozen_modules_at_most() -> None:
    held = Counter(str(path.parent.relative_to(ROOT)) for path in ROOT.rglob("*.py") if path.name != "__init__.py")
    assert {folder: count for folder, count in held.items() if count > MODULES_MAX} == {}


def test_each_folder_says_what_lives_there() -> None:
    said = {folder: ast.get_docstring(ast.parse(path.read_text())) or "TODO" for folder, path in folders().items()}
    assert {folder for folder, text in said.items() if text.startswith("TODO")} == set()


def test_no_module_imports_itself_by_way_of_others() -> None:
    TopologicalSorter({name: inside(name) - {name} for name in MODULES}).prepare()  # raises CycleError


# --- directions ------------------------------------------------------------------------------------------------------
def test_core_imports_nothing_above_it_and_one_library() -> None:
    assert trespasses(of_wing("core")) == {}
    assert libraries(of_wing("core")) == {"msgspec"}


def test_core_does_no_io_and_asks_no_clock_and_no_dice() -> None:
    acting = {"asyncio", "logging", "random", "secrets", "socket", "subprocess", "threading", "structlog"}
    for name in of_wing("core"):
        tops = {target.split(".")[0] for target in imported(name)}
        assert not tops & acting, name
    allowed = {"os.stat_result", "os"}  # a type
    assert {target for target in imported("core.model") if target.startswith("os")} <= allowed
    assert {name for name in of_wing("core") if "time" in imported(name)} <= {"core.times"}  # writes moments as texts


def test_daemon_and_job_stand_on_core_and_never_import_each_other() -> None:
    assert trespasses(of_wing("daemon"), "", "core", "logs", "boot_clock", "memory") == {}
    assert trespasses(of_wing("job"), "", "core", "logs", "boot_clock", "memory", "terminal") == {}


def test_the_machine_is_pure_and_the_pages_show_it() -> None:
    acting = {"asyncio", "os", "random", "secrets", "selectors", "signal", "socket", "subprocess", "threading", "time"}
    for name in (
        *under("daemon.machine"),
        *(f"daemon.web.{page}" for page in ("view", "metrics", "pages", "status_page")),
    ):
        tops = {target.split(".")[0] for target in imported(name)}
        assert not tops & acting, name
    assert not {other for name in under("daemon.machine") for other in inside(name)} & {*under("daemon.web"), "logs"}
    shell = {"daemon.supervisor", "daemon.workers", "daemon.systemd", "daemon.memory"}
    assert not {other for name in under("daemon.machine", "daemon.web") for other in inside(name)} & shell


def test_the_daemon_s_libraries_are_those_that_stay_resident() -> None:
    assert libraries(of_wing("daemon", "logs", "boot_clock")) <= {"h11", "msgspec", "prometheus_client", "structlog"}


def test_sources_and_sinks_do_not_know_each_other() -> None:
    sinks = {str(path.parent.name) for path in (ROOT / "job" / "sinks").glob("*/__init__.py")}
    assert sinks == {"airflow", "docker", "kubernetes"}
    for name in under("job.aws"):
        assert not inside(name) & {*under("job.sinks")}, name
    for sink in sinks:
        others = {*under(*(f"job.sinks.{other}" for other in sinks - {sink})), "job.aws.ecr"}
        for name in under(f"job.sinks.{sink}"):
            assert not inside(name) & others, name


def test_stand_ins_know_nothing_of_the_product_and_need_the_standard_library_only() -> None:
    assert trespasses(of_wing("standins")) == {}
    assert libraries(of_wing("standins")) == set()


def test_a_running_daemon_is_asked_with_the_standard_library_and_yaml_for_the_settings_file_s_sake() -> None:
    assert trespasses(of_wing("status"), "core", "memory", "terminal") == {}
    assert libraries(of_wing("status")) <= {"yaml", "rich"}


def test_common_rooms_stand_on_core_alone() -> None:
    assert trespasses([*of_wing("logs", "terminal", "memory", "boot_clock")], "core") == {}
    assert libraries(of_wing("logs", "terminal", "memory", "boot_clock")) <= {"structlog", "rich"}


def test_only_the_roof_wires() -> None:
    wired = {
        name: {wing(other) for other in inside(name)} - COMMON - {wing(name)}
        for name in MODULES
        if wing(name) not in ROOF
    }
    assert {name: others for name, others in wired.items() if others} == {}
    assert {wing(other) for other in inside("cli")} >= WINGS
    assert libraries(of_wing(*ROOF)) == {"shtab"}


# --- what is loaded --------------------------------------------------------------------------------------------------
def python(program: str) -> str:
    """What a fresh interpreter prints."""
    bare = {name: value for name, value in os.environ.items() if name not in MEASURING}  # coverage loads a lot itself
    command = [sys.executable, "-P", "-c", program]
    return subprocess.run(command, env=bare, stdout=subprocess.PIPE, text=True, check=True).stdout


def loads(*names: str) -> set[str]:
    """All modules that a fresh interpreter has after importing these."""
    return set(python("import sys; " + "; ".join(f"import {name}" for name in names) + "; print(*sys.modules)").split())


def test_the_roof_loads_a_wing_only_within_a_function() -> None:
    loaded = loads("ecr_refresher.cli", "ecr_refresher.options")
    assert not {name for name in loaded if name.startswith(tuple(f"{PACKAGE}.{wing}" for wing in WINGS))}
    assert "shtab" not in loaded


def test_what_stays_resident_loads_no_sdk() -> None:
    loaded = loads("ecr_refresher.daemon.supervisor", "ecr_refresher.cli")
    assert f"{PACKAGE}.daemon.supervisor" in loaded
    assert not {name for name in loaded if name.split(".")[0] in SDKS}
    assert not {name for name in loaded if name.startswith(f"{PACKAGE}.job")}


def test_the_list_of_sdks_would_show_them() -> None:
    assert {"botocore", "urllib3"} <= {name.split(".")[0] for name in loads("ecr_refresher.job.aws.clients")}


WHOLE = """
import importlib, json, sys
for name in {first!r}:
    importlib.import_module(name)
found = {{}}
for name in {libraries!r}:
    module = importlib.import_module(name)
    found[name] = [module.__file__, *dir(module)]
print(json.dumps(found))
"""


@pytest.mark.parametrize("first", ["ecr_refresher.daemon.supervisor", "ecr_refresher.cli"])
def test_a_library_that_is_imported_after_the_daemon_s_wing_is_the_whole_library(first: str) -> None:
    wanted = sorted(libraries([*MODULES]) | {"boto3", "structlog", "airflow_client.client", "kubernetes.client"})
    assert {"prometheus_client", "h11", "docker", "msgspec"} <= set(wanted)
    bare, after = (json.loads(python(WHOLE.format(first=loaded, libraries=wanted))) for loaded in ([], [first]))
    assert {name: set(bare[name]) - set(after[name]) for name in wanted if set(bare[name]) - set(after[name])} == {}
