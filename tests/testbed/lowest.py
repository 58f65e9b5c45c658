"""The unit tests with the lowest versions that pyproject.toml allows: `make lowest`.

The environment lies in .testbed and is made again when pyproject.toml changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.testbed import parts

VENV = parts.TESTBED / "lowest"
PYPROJECT = parts.REPOSITORY / "pyproject.toml"


def main() -> int:
    python = prepared()
    versions = subprocess.run(
        [*_uv("pip", "freeze"), "--python", str(python)], capture_output=True, text=True, check=True
    )
    print(versions.stdout, flush=True)
    environment = {**os.environ, "PYTHONPATH": str(parts.REPOSITORY)}
    tests = [str(python), "-m", "pytest", "tests/unit", "-n", "auto", "--dist", "worksteal", "-p", "no:cacheprovider"]
    return subprocess.run([*tests, *sys.argv[1:]], cwd=parts.REPOSITORY, env=environment, check=False).returncode


def prepared() -> Path:
    """Return the environment's Python. Raises CalledProcessError if no versions fit together."""
    python, made_for = VENV / "bin" / "python", VENV / "made-for"
    digest = hashlib.sha256(PYPROJECT.read_bytes() + sys.version.encode()).hexdigest()
    if made_for.exists() and made_for.read_text() == digest:
        return python
    shutil.rmtree(VENV, ignore_errors=True)
    parts.TESTBED.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(VENV)], check=True)
    # Two steps: the product's own dependencies at their lowest, then the tests' tools as new as these allow.
    constraints = VENV / "constraints.txt"
    lowest = [*_uv("pip", "compile"), "--resolution", "lowest-direct", "--extra", "kubernetes", "--no-annotate"]
    subprocess.run(
        [*lowest, "--python", str(python), "-o", str(constraints), str(PYPROJECT)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    install = [*_uv("pip", "install"), "--python", str(python), "--constraints", str(constraints)]
    subprocess.run([*install, "--requirements", str(constraints), "--group", f"{PYPROJECT}:dev"], check=True)
    made_for.write_text(digest)
    return python


def _uv(*words: str) -> list[str]:
    return [sys.executable, "-m", "uv", *words, "--quiet"]


if __name__ == "__main__":
    sys.exit(main())
