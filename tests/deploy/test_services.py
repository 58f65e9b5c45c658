"""The image keeps the models of just those AWS services that are asked: by the product, and by botocore on its own."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import botocore.session
import pytest

import ecr_refresher
from ecr_refresher.core import plan

FINISH = Path(__file__).parents[2] / "deploy" / "image" / "finish.py"
# Where botocore looks for credentials: files of the package.
CHAIN = ("credentials.py", "tokens.py", "utils.py", "session.py", "configprovider.py")


@pytest.fixture(scope="module")
def finish() -> ModuleType:
    """The build step, as a module."""
    spec = importlib.util.spec_from_file_location("finish", FINISH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts_given_to(makers: set[str], *files: Path) -> Iterator[str]:
    """The first text among the arguments of each call to one of these, by function's or method's name."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in makers:
                texts = (arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))
                yield from list(texts)[:1]


def asked_by_the_product() -> set[str]:
    job = Path(ecr_refresher.__file__).parent / "job"
    # A call gives the service's name, or an operation of a service that was named before.
    called = {plan.PRIVATE, plan.PUBLIC, *texts_given_to({"call", "_calls"}, *job.rglob("*.py"))}
    return called.intersection(botocore.session.Session().get_available_services())


def asked_by_botocore() -> set[str]:
    files = [Path(botocore.__file__).parent / name for name in CHAIN]
    return set(texts_given_to({"create_client", "create_nested_client", "_client_creator"}, *files))


def test_the_image_keeps_what_is_asked_and_nothing_else(finish: ModuleType) -> None:
    assert {"ecr", "sts", "mwaa", "secretsmanager"} <= asked_by_the_product()
    assert {"sts", "sso", "sso-oidc"} <= asked_by_botocore()
    assert asked_by_the_product() | asked_by_botocore() == finish.SERVICES


def packages_with(directory: Path, *services: str) -> Path:
    for service in services:
        (directory / "botocore" / "data" / service / "2015-09-21").mkdir(parents=True)
    (directory / "botocore" / "data" / "endpoints.json").touch()
    (directory / "boto3" / "data" / "ec2").mkdir(parents=True)
    return directory


def test_pruning_keeps_them_and_what_belongs_to_no_service(finish: ModuleType, tmp_path: Path) -> None:
    packages = packages_with(tmp_path, *finish.SERVICES, "ec2", "s3")
    finish.prune_services(packages)
    left = {path.name for path in (packages / "botocore" / "data").iterdir()}
    assert left == {*finish.SERVICES, "endpoints.json"}
    assert not (packages / "boto3" / "data").exists()


def test_a_service_that_botocore_does_not_have_ends_the_build(finish: ModuleType, tmp_path: Path) -> None:
    packages = packages_with(tmp_path, *(finish.SERVICES - {"mwaa"}))
    with pytest.raises(SystemExit, match="no model of mwaa"):
        finish.prune_services(packages)


def test_the_image_keeps_the_kubernetes_apis_that_are_called_and_no_others(finish: ModuleType) -> None:
    code = "".join(path.read_text() for path in (Path(ecr_refresher.__file__).parent / "job").rglob("*.py"))
    assert set(re.findall(r"\bclient\.(\w+Api)\b", code)) == set(finish.KUBERNETES_APIS.values())
