"""A real Kubernetes API server, built from Debian's own source package: Secrets, ServiceAccounts, RBAC, and no node.

The build takes four minutes on two cores, so its result is kept outside the repository, for every clone to use.
Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.testbed import parts

VERSION = "1.20.2"
SOURCE = "kubernetes=1.20.5+really1.20.2-1.1+deb12u1"
PACKAGES = {
    "golang-go": Path("/usr/bin/go"),
    "etcd-server": parts.ETCD,
    "dpkg-dev": Path("/usr/bin/dpkg-source"),
    "golang-github-modern-go-reflect2-dev": Path("/usr/share/gocode/src/github.com/modern-go/reflect2"),
}
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
TREE = "src/k8s.io/kubernetes"
BUILD_S = 1500.0
Run = Callable[..., None]


def api_server(run: Run) -> str:
    """Build the API server unless it is there."""
    what = f"Kubernetes API server {VERSION}"
    if parts.missing_kubernetes() is None:
        return what
    absent = [str(path) for path in PACKAGES.values() if not path.exists()]
    if absent:
        raise parts.Missing(f"{', '.join(absent)} not there")
    with tempfile.TemporaryDirectory(prefix="ecrtb-", dir="/var/tmp") as directory:
        binary = _built(Path(directory), run)
        parts.API_SERVER.parent.mkdir(parents=True, exist_ok=True)
        new = parts.API_SERVER.with_suffix(".new")
        shutil.copy(binary, new)
        new.replace(parts.API_SERVER)
    return what


def _built(directory: Path, run: Run) -> Path:
    tree = directory / "go" / TREE
    _unpack(directory, tree, run)
    env = os.environ | {"GOPATH": str(directory / "go"), "GOCACHE": str(directory / "cache"), "GO111MODULE": "off"}
    generator, server = directory / "openapi-gen", directory / "kube-apiserver"

    def go(*words: str | Path) -> None:
        run("nice", "-n", "5", "env", "-C", tree, "go", *words, env=env, within=BUILD_S)

    go("build", "-o", generator, "./vendor/k8s.io/kube-openapi/cmd/openapi-gen")
    _generate_openapi(generator, tree, env)
    go("build", "-ldflags", "-s -w", "-o", server, "./cmd/kube-apiserver")
    return server


def _unpack(directory: Path, tree: Path, run: Run) -> None:
    """Get the source by apt, from the machine's own mirrors; the machine's lists stay as they are."""
    lists, more = directory / "lists" / "partial", directory / "sources"
    lists.mkdir(parents=True)
    more.mkdir()
    (more / "source.sources").write_text(SOURCES.read_text().replace("Types: deb\n", "Types: deb-src\n"))
    apart = ("-q", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={more}",
             "-o", f"Dir::State::lists={lists.parent}", "-o", "APT::Sandbox::User=root")  # fmt: skip
    run("apt-get", *apart, "update")
    script = 'cd "$0" && apt-get "$@" source --download-only "$SOURCE"'
    run("sh", "-c", script, directory, *apart, env=os.environ | {"SOURCE": SOURCE})
    (description,) = directory.glob("*.dsc")
    tree.parent.mkdir(parents=True)
    run("dpkg-source", "--no-check", "-x", description, tree)
    # The vendored version, 1.0.1, crashes under Go 1.18 and newer.
    reflect = tree / "vendor/github.com/modern-go/reflect2"
    shutil.rmtree(reflect)
    shutil.copytree(PACKAGES["golang-github-modern-go-reflect2-dev"], reflect)


def _generate_openapi(generator: Path, tree: Path, env: dict[str, str]) -> None:
    """Write the file that Debian's package leaves out: it describes every type that says so in its package's doc."""
    staging, own = tree / "staging/src", tree / "pkg"
    packages = sorted(
        {
            source.parent
            for above in (staging, own)
            for source in above.rglob("*.go")
            if not source.name.startswith("zz_") and b"+k8s:openapi-gen=" in source.read_bytes()
        }
    )
    names = [
        f"k8s.io/kubernetes/{'vendor/' if package.is_relative_to(staging) else ''}"
        f"{package.relative_to(staging if package.is_relative_to(staging) else tree)}"
        for package in packages
    ]
    command = [generator, "--go-header-file", "hack/boilerplate/boilerplate.generatego.txt",
               "--output-file-base", "zz_generated.openapi",
               "--output-package", "k8s.io/kubernetes/pkg/generated/openapi",
               "-r", tree / "report", "-i", ",".join(names)]  # fmt: skip
    done = subprocess.run(list(map(str, command)), cwd=tree, env=env, capture_output=True, text=True, check=False)
    made = tree / "pkg/generated/openapi/zz_generated.openapi.go"
    if done.returncode or not made.exists():
        raise parts.Missing(f"openapi-gen ended with {done.returncode}: {done.stderr[-300:]}")
    made.write_text(made.read_text().replace("k8s.io/kubernetes/vendor/", ""))
