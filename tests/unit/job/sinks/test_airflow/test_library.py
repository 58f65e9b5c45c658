"""How much of the official client is imported."""

from __future__ import annotations

import subprocess
import sys

SHOW = """
import sys
from ecr_refresher import lean
from ecr_refresher.job.sinks import airflow_library
{before}
client, configuration = airflow_library.load()
assert airflow_library.load() == (client, configuration)
assert client(configuration(host="http://127.0.0.1:9")).pool_manager
print(sum(name.startswith(("airflow_client.client.", "pydantic.")) for name in sys.modules))
"""


def modules_after(before: str = "") -> int:
    command = [sys.executable, "-c", SHOW.format(before=before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_no_model_no_api_and_no_pydantic_is_imported_with_this_version_of_the_client() -> None:
    assert modules_after() < 5


def test_a_version_that_does_not_let_us_is_imported_whole() -> None:
    refusing = """
put = lean._put_into_place
def put_and_refuse(name):
    put(name)
    raise AttributeError(name)
lean._put_into_place = put_and_refuse
"""
    assert modules_after(refusing) > 100
