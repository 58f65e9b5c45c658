"""Settings of Airflow that can't be right end with status 2, before anything is asked; each names its place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.testbed.daemon import Product
from tests.testbed.registry import HOST

PARTNER = "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
LOGIN = {"username": "u", "password_env": "AIRFLOW_PASSWORD"}
ONE = {"url": "https://airflow.example.com", **LOGIN}


@pytest.mark.parametrize(
    ("airflow", "said"),
    [
        ({**ONE, "connections": {"not an id": HOST}}, "is not a connection id that Airflow takes"),
        ({**ONE, "connections": {"c" * 201: HOST}}, "is longer than the 200 characters of Airflow's ids"),
        ({"mwaa_environment": "prod", "connections": {"c" * 52: HOST}}, "is too long for the API of MWAA"),
        (
            [{"name": "a", **ONE}, {"name": "a", **ONE, "url": "https://b"}],
            "airflow[1].name: is the name of another Airflow",
        ),
        (
            [
                {"name": "a", **ONE, "connections": {"docker_default": HOST}},
                {"name": "b", **ONE, "connections": {"docker_default": PARTNER}},
            ],
            "airflow[0].connections.docker_default claims this connection",
        ),
        ({**ONE, "url": "http://airflow.internal"}, "set allow_http: true"),
    ],
)
def test_wrong_settings_of_airflow_end_with_2(product: Product, airflow: Any, said: str) -> None:
    many = isinstance(airflow, list) and "connections" in airflow[0]
    settings = {"registries": [HOST, PARTNER] if many else [HOST], "airflow": airflow}
    done = product.run_cli("once", settings=settings)
    assert done.exit_code == 2
    assert said in done.stderr
