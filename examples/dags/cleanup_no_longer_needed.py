"""The cleanup task that many teams run every night. The daemon's cleanup replaces it.

It removes all unused images: one that a task is about to use as well as one that nobody has used for a year. It runs on
any one worker, and it can break a pull that is running. Instead, set `cleanup: {enabled: true}` in the settings of the
daemon on each host, which removes by last use, and delete this DAG.
"""

from __future__ import annotations

import datetime as dt

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow.models.dag import DAG
    from airflow.operators.bash import BashOperator

with DAG(
    "cleanup_no_longer_needed",
    schedule="@daily",
    start_date=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    is_paused_upon_creation=True,
):
    BashOperator(task_id="prune", bash_command="docker system prune --all --force")
