"""pytest plugin: the hunt for secrets over a whole run, in each of its processes (pytest-xdist's workers too).

Tests add every secret they use to the fixture `secrets_seen`; what the product says is kept through `outputs`. When a
process of the run ends, it looks for its secrets in its outputs. A hit is an error in the closing line and makes the
exit status 1, whatever the tests said.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.testbed import parts
from tests.testbed.secret_hunt import Outputs, Secrets, hunt

KEPT_RUNS = 3
SECRETS = pytest.StashKey[Secrets]()
OUTPUTS = pytest.StashKey[Outputs]()
HITS = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--outputs", type=Path, default=parts.TESTBED / "outputs", help="where to keep what the product says"
    )


def pytest_configure(config: pytest.Config) -> None:
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    runs: Path = config.getoption("--outputs")
    if worker is None:
        for old in sorted(runs.glob("run-*"), key=lambda path: path.stat().st_mtime)[: -KEPT_RUNS + 1]:
            shutil.rmtree(old, ignore_errors=True)
        directory = runs / f"run-{os.getpid()}" / "main"
    else:
        directory = runs / f"run-{os.getppid()}" / str(worker["workerid"])
    shutil.rmtree(directory, ignore_errors=True)
    config.stash[SECRETS] = Secrets()
    config.stash[OUTPUTS] = Outputs(directory)
    config.stash[HITS] = []


@pytest.fixture(scope="session")
def secrets_seen(pytestconfig: pytest.Config) -> Secrets:
    """Where a test adds every token and password it uses."""
    return pytestconfig.stash[SECRETS]


@pytest.fixture(scope="session")
def outputs(pytestconfig: pytest.Config) -> Outputs:
    """Where everything that the product says is kept, for the hunt and for people."""
    return pytestconfig.stash[OUTPUTS]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what was printed and logged inside the test's own process: code called there speaks there."""
    report = yield
    if call.when == "teardown":
        for title, content in report.sections:
            item.config.stash[OUTPUTS].keep("captured", f"{item.nodeid}: {title}\n{content}")
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker has ended: take over what its own hunt found."""
    node.config.stash[HITS].extend(getattr(node, "workeroutput", {}).get("secret_hits", []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    directory = config.stash[OUTPUTS].directory
    secrets = config.stash[SECRETS]
    hits = config.stash[HITS]
    hits.extend(f"{directory.name}/{hit}" for hit in hunt(secrets, directory))
    if hasattr(config, "workeroutput"):
        config.workeroutput["secret_hits"] = hits
        return
    if not hits:
        return
    session.exitstatus = pytest.ExitCode.TESTS_FAILED
    said = f"Secrets stand in the outputs of this run, under {directory.parent}:\n" + "\n".join(hits)
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:  # as an error of its own, so that the closing line tells
        report = pytest.TestReport("hunt for secrets", ("", None, "hunt for secrets"), {}, "failed", said, "teardown")
        reporter.stats.setdefault("error", []).append(report)
