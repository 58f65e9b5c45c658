"""A pod that pulls from ECR with a pull secret, on a cluster whose nodes have no AWS identity.

ecr-refresher keeps the secret `ecr-pull` valid. You can leave out `image_pull_secrets` if `service_accounts` names the
pod's ServiceAccount.
"""

from __future__ import annotations

import datetime as dt

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import V1LocalObjectReference

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG

with DAG("pull_by_secret", start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), schedule=None):
    KubernetesPodOperator(
        task_id="scrape",
        namespace="jobs",
        image="123456789012.dkr.ecr.us-east-1.amazonaws.com/web_scraper:latest",
        image_pull_secrets=[V1LocalObjectReference("ecr-pull")],
        cmds=["scrape", "--once"],
    )
