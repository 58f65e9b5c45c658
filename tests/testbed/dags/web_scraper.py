"""The DAG of the story: one task, whose image lies in Amazon ECR."""

import os

from airflow.providers.docker.operators.docker import DockerOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG

with DAG("web_scraper", schedule=None, catchup=False):
    DockerOperator(
        task_id="web_scraper",
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/web_scraper:latest",
        docker_conn_id="docker_default",
        docker_url=os.environ.get("TESTBED_DOCKER_URL", "unix:///var/run/docker.sock"),
        command=["echo", "scraped the web"],
        force_pull=True,
        auto_remove="force",
        mount_tmp_dir=False,
        retries=0,
    )
