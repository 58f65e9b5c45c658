"""The scraper without a connection: docker-py reads the login from `config.json`, which ecr-refresher keeps valid.

The file is `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json` of the user that the worker runs as. One
`config.json` holds the logins of any number of registries, and DAGs need no login settings.
"""

from __future__ import annotations

import datetime as dt

from airflow.providers.docker.operators.docker import DockerOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG

with DAG(
    "pull_by_config_json",
    schedule="@hourly",
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    default_args={"retries": 1},
):
    for registry, image in {
        "own": "123456789012.dkr.ecr.us-east-1.amazonaws.com/web_scraper:latest",
        "partner": "210987654321.dkr.ecr.eu-west-1.amazonaws.com/enrich:v3",
        "public": "public.ecr.aws/docker/library/busybox:stable",
    }.items():
        DockerOperator(
            task_id=f"from_{registry}",
            image=image,
            docker_url="unix:///var/run/docker.sock",
            force_pull=True,
            auto_remove="force",
            mount_tmp_dir=False,
        )
