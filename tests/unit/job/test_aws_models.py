"""botocore's descriptions, read our way and its own: the same, and found the same."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader, create_loader

from ecr_refresher.job.aws import models as aws_models
from tests.testbed.daemon import clean_environment

CALLED = ("ecr", "ecr-public", "sts", "secretsmanager", "mwaa")  # by us
BY_ITSELF = ("sso", "sso-oidc")  # for a profile's login
TYPES = ("service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2")


def quick(data_path: str | None = None) -> Loader:
    loader = create_loader(data_path)
    aws_models.read_quickly(loader)
    return loader


def came_of(loader: Loader, service: str, kind: str) -> Any:
    try:
        return loader.load_service_model(service, kind)
    except (DataNotFoundError, UnknownServiceError) as error:
        return type(error)


@pytest.mark.parametrize("service", [*CALLED, *BY_ITSELF])
def test_services_are_described_alike(service: str) -> None:
    for kind in TYPES:
        ours, theirs = came_of(quick(), service, kind), came_of(create_loader(), service, kind)
        # Only where there is no description of this kind at all do they refuse in different words.
        assert ours == theirs or (isinstance(ours, type) and isinstance(theirs, type)), kind
    assert list(quick().load_service_model(service, "service-2")["shapes"]) == list(
        create_loader().load_service_model(service, "service-2")["shapes"]
    )


@pytest.mark.parametrize("name", ["endpoints", "partitions", "sdk-default-configuration", "_retry"])
def test_what_all_services_share_is_read_alike(name: str) -> None:
    assert quick().load_data_with_path(name) == create_loader().load_data_with_path(name)


def test_all_services_are_listed() -> None:
    theirs, ours = (loader.list_available_services(type_name="service-2") for loader in (create_loader(), quick()))
    assert set(theirs) <= set(ours)
    assert len(theirs) > 300


def test_what_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownServiceError):
        quick().load_service_model("no-such-service", "service-2")
    with pytest.raises(DataNotFoundError):
        quick().load_service_model("ecr", "no-such-kind")
    with pytest.raises(DataNotFoundError):
        quick().load_data("no-such-data")


@pytest.mark.parametrize("packed", [False, True])
def test_a_user_s_own_descriptions_are_found_as_well(tmp_path: Path, packed: bool) -> None:
    """AWS_DATA_PATH, which botocore's `data_path` is read from."""
    folder = tmp_path / "ours" / "2026-01-01"
    folder.mkdir(parents=True)
    text = json.dumps({"metadata": {"mine": "é"}}).encode()
    name = "service-2.json.gz" if packed else "service-2.json"
    (folder / name).write_bytes(gzip.compress(text) if packed else text)
    (tmp_path / "a-file").touch()
    if packed:
        (folder / "service-2.json").mkdir()  # no file, and so passed over
    assert quick(str(tmp_path)).load_service_model("ours", "service-2") == {"metadata": {"mine": "é"}}
    assert create_loader(str(tmp_path)).load_service_model("ours", "service-2") == {"metadata": {"mine": "é"}}


def test_a_pass_s_client_is_made_without_a_look_through_all_services(tmp_path: Path) -> None:
    """What it is for: botocore by itself lists some nine hundred folders."""
    script = """
import sys
from ecr_refresher.core.plan import Principal
from ecr_refresher.job.aws import Aws
from ecr_refresher.job.clock import AwsClock
listed = []
sys.addaudithook(lambda event, _: listed.append(event) if event == "os.listdir" else None)
with Aws(AwsClock(None, on_change=lambda *_: None)).client(Principal("ecr", "us-east-1"), "ecr") as client:
    print(client.meta.service_model.service_name, len(listed))
"""
    environment = clean_environment(tmp_path, ecr_url="http://127.0.0.1:1")
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    name, listed = done.stdout.split()
    assert name == "ecr"
    assert int(listed) < 50
