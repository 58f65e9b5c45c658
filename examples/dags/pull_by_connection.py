"""The scraper, with its login from an Airflow connection that ecr-refresher keeps valid.

With `docker_conn_id` the operator logs in with the connection's login before each run. The connection is
`docker_default` unless the settings name others.
"""

from __future__ import annotations

import datetime as dt

from airflow.providers.docker.operators.docker import DockerOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG

with DAG(
    "pull_by_connection",
    schedule="@hourly",
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    default_args={"retries": 1},
):
    DockerOperator(
        task_id="web_scraper",
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/web_scraper:latest",
        docker_conn_id="docker_default",
        docker_url="unix:///var/run/docker.sock",
        force_pull=True,  # `latest` moves
        auto_remove="force",
        mount_tmp_dir=False,
    )
