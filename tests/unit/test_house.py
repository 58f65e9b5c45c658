"""The house's plan, read from its imports: core below, daemon and job side by side on it, the roof on top."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ecr_refresher
from tests.testbed.daemon import MEASURING

PACKAGE = "ecr_refresher"
ROOT = Path(ecr_refresher.__file__).parent
ROOF = {"cli", "options", "plain_run", "__main__"}
COMMON = {"", "core", "logs", "lean", "terminal"}  # what any command may stand on
# What several sinks stand on: files and their locks, and an Airflow connection as secrets backends read it.
SHARED_BY_SINKS = {
    "atomic_file",
    "file_errors",
    "file_examination",
    "file_lock",
    "airflow_entry",
    "airflow_marker",
    "secrets_document",
}
SDKS = {"boto3", "botocore", "docker", "airflow_client", "yaml", "pydantic", "requests", "urllib3"}


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


def trespasses(names: list[str], *allowed: str) -> dict[str, set[str]]:
    """The modules that import of the package something else than their own wing and what is allowed."""
    found = {name: {other for other in inside(name) if wing(other) not in {wing(name), *allowed}} for name in names}
    return {name: others for name, others in found.items() if others}


def test_the_house_has_the_rooms_that_this_page_knows() -> None:
    assert {wing(name) for name in MODULES} == {
        "",
        "core",
        "daemon",
        "job",
        "standins",
        "status",
        "logs",
        "lean",
        "terminal",
        *ROOF,
    }
    assert len(of_wing("core")) > 5
    assert len(of_wing("daemon")) > 8
    assert len(of_wing("job")) > 10


def test_imports_are_read_wherever_they_stand() -> None:
    assert "job.worker" in inside("cli")  # within a function
    assert "core.model" in inside("core.wire")  # relative
    assert "core.model" in inside("job.aws.ecr")  # from two floors up
    assert "botocore" in outside("job.aws.clients")
    assert "" in inside("daemon.web.view")  # the version


def test_core_imports_nothing_above_it_and_nothing_from_outside() -> None:
    assert trespasses(of_wing("core")) == {}
    assert {name: outside(name) for name in of_wing("core") if outside(name)} == {}


def test_core_does_no_io_and_asks_no_clock_and_no_dice() -> None:
    acting = {"asyncio", "logging", "random", "secrets", "socket", "subprocess", "time", "threading", "structlog"}
    for name in of_wing("core"):
        tops = {target.split(".")[0] for target in imported(name)}
        assert not tops & acting, name
    allowed = {"os.stat_result", "os"}  # a type
    assert {target for target in imported("core.model") if target.startswith("os")} <= allowed


def test_dataclasses_are_the_quick_ones() -> None:
    """The standard library's cost a worker a quarter of its start; the stand-ins inherit from theirs, and may."""
    slow = {name for name in MODULES if "dataclasses.dataclass" in imported(name) and wing(name) != "standins"}
    assert slow == {"core.records"}  # for type checkers


def test_daemon_and_job_stand_on_core_and_never_import_each_other() -> None:
    assert trespasses(of_wing("daemon"), "", "core", "logs", "lean") == {}
    assert trespasses(of_wing("job"), "", "core", "logs", "lean", "terminal") == {}


def test_the_version_is_all_that_the_wings_take_from_the_package_itself() -> None:
    for name in of_wing("daemon", "job", "core"):
        taken = {target for target in imported(name) if target.count(".") == 1 and target.startswith(PACKAGE)}
        known = {f"{PACKAGE}.{room}" for room in ("__version__", "logs", "lean", "terminal", "core")}
        assert taken <= known | {f"{PACKAGE}.{wing(name)}"}, name


def test_logs_know_the_words_and_nothing_else() -> None:
    assert trespasses(["logs"], "core") == {}
    assert outside("logs") == {"structlog"}


def test_a_running_daemon_is_asked_with_the_standard_library_and_yaml_for_the_settings_file_s_sake() -> None:
    assert trespasses(of_wing("status"), "core", "terminal") == {}
    assert set().union(*(outside(name) for name in of_wing("status"))) == {"yaml"}


def test_the_command_line_s_grammar_needs_one_library_for_completion() -> None:
    assert set().union(*(outside(name) for name in MODULES if wing(name) in ROOF)) == {"shtab"}
    assert "shtab" not in loads("ecr_refresher.options")


def test_what_imports_single_modules_of_libraries_knows_none() -> None:
    assert trespasses(["lean"]) == {}
    assert outside("lean") == set()


def test_the_terminal_needs_nothing_but_the_standard_library() -> None:
    assert trespasses(["terminal"]) == {}
    assert outside("terminal") == set()


def test_the_pure_parts_of_the_daemon_import_nothing_that_acts() -> None:
    acting = {"asyncio", "os", "random", "secrets", "selectors", "signal", "socket", "subprocess", "threading"}
    pure = ("state", "events", "step", "bookings", "cleaning", "view", "metrics", "exposition", "pages", "http_wire")
    for name in (f"daemon.{module}" for module in pure):
        tops = {target.split(".")[0] for target in imported(name)}
        assert not tops & acting, name
        assert not inside(name) & {
            "daemon.supervisor",
            "daemon.web.http",
            "daemon.workers",
            "daemon.systemd",
            "logs",
        }, name


def test_the_daemon_s_libraries_are_those_that_stay_resident() -> None:
    assert set().union(*(outside(name) for name in of_wing("daemon"))) == {"h11", "prometheus_client"}


def kind_of_sink(name: str) -> str:
    """The sinks; their helpers are named after them, serve files, or are the shape of an Airflow connection."""
    stem = name.rpartition(".")[2]
    if stem in SHARED_BY_SINKS:
        return "shared"
    return (
        next(kind for kind in ("airflow", "secrets_file", "secrets_manager", "") if stem.startswith(kind)) or "docker"
    )


def test_sources_and_sinks_do_not_know_each_other() -> None:
    sources = [name for name in MODULES if name.startswith("job.sources.")]
    sinks = [name for name in MODULES if name.startswith("job.sinks.")]
    assert sources
    assert sinks
    for name in sources:
        assert not {other for other in inside(name) if other.startswith("job.sinks")}, name
    for name in sinks:
        assert not {other for other in inside(name) if other.startswith("job.sources")}, name
        others = {other for other in inside(name) if other.startswith("job.sinks.")}
        assert all(kind_of_sink(other) in ("shared", kind_of_sink(name)) for other in others), name


def test_stand_ins_know_nothing_of_the_product_and_need_the_standard_library_only() -> None:
    assert trespasses(of_wing("standins")) == {}
    assert {name: outside(name) for name in of_wing("standins") if outside(name)} == {}


def test_only_the_roof_wires() -> None:
    wired = {
        name: {wing(other) for other in inside(name)} - COMMON - {wing(name)}
        for name in MODULES
        if wing(name) not in ROOF
    }
    assert {name: others for name, others in wired.items() if others} == {}
    assert {"daemon", "job", "standins", "status"} <= {wing(other) for other in inside("cli")}
    assert not {name for name in MODULES if inside(name) & ROOF and wing(name) not in ROOF}


def test_the_roof_loads_a_wing_only_within_a_function() -> None:
    loaded = loads("ecr_refresher.cli")
    assert not {
        name
        for name in loaded
        if name.startswith(tuple(f"{PACKAGE}.{w}" for w in ("daemon", "job", "standins", "status")))
    }


def loads(*names: str) -> set[str]:
    """All modules that a fresh interpreter has after importing these."""
    program = "import sys; " + "; ".join(f"import {name}" for name in names) + "; print(*sys.modules)"
    bare = {name: value for name, value in os.environ.items() if name not in MEASURING}  # coverage loads a lot itself
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, env=bare, stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def test_what_stays_resident_loads_nothing_of_the_standard_library_that_is_large() -> None:
    large = {"hashlib", "email", "http", "multiprocessing", "pathlib", "rich"}
    assert not large & {module.split(".")[0] for module in loads("ecr_refresher.daemon.supervisor")}


@pytest.mark.parametrize("name", ["ecr_refresher.daemon.supervisor", "ecr_refresher.cli"])
def test_what_stays_resident_loads_no_sdk(name: str) -> None:
    loaded = loads(name)
    assert name in loaded
    assert not {module for module in loaded if module.split(".")[0] in SDKS}
    assert not {module for module in loaded if module.startswith(f"{PACKAGE}.job")}


def test_the_list_of_sdks_would_show_them() -> None:
    assert {"botocore", "urllib3"} <= {name.split(".")[0] for name in loads("ecr_refresher.job.aws.clients")}
