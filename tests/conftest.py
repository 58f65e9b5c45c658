"""What all tests share: hypothesis profiles, the product as a command, the hunt for secrets (testbed/hunting.py)."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.testbed import parts
from tests.testbed.daemon import Daemon, Finished, Product
from tests.testbed.processes import Record, end_leftovers
from tests.testbed.secret_hunt import Outputs, Secrets

pytest_plugins = ["tests.testbed.hunting"]

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if parts.real_is_required() else "dev"))


@pytest.fixture(scope="session")
def record() -> Record:
    """What this run has running: ended by the next run, should this one be killed."""
    end_leftovers()
    return Record()


@pytest.fixture
def product(
    request: pytest.FixtureRequest, tmp_path: Path, outputs: Outputs, secrets_seen: Secrets, record: Record
) -> Iterator[Product]:
    """The real product, for one test; what runs at the test's end is killed."""
    name = re.sub(r"[^\w.-]+", "-", request.node.name)
    product = Product(tmp_path, name, outputs, secrets_seen, record)
    yield product
    product.close()


@pytest.fixture
def run_cli(product: Product) -> Callable[..., Finished]:
    """`run_cli("once", "--json", settings={…}, ecr_url=…)`: one command of the product to its end."""
    return product.run_cli


@pytest.fixture
def start_daemon(product: Product) -> Callable[..., Daemon]:
    """`start_daemon(settings, ecr_url=…)`: a running daemon."""
    return product.start_daemon


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        parts.give_up("files: mounts and other users' files need root")


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="ecr-refresher-test-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path
