"""The cleanup task that many a team runs nightly, kept here to show what can go.

It prunes with a broad brush: an image that a task is about to use goes as well as one that nobody has used for a year,
it runs on whichever worker picks it up, and a pull that is under way can lose what it has fetched. Set
`cleanup: {enabled: true}` in the settings of the daemon on each host instead, which goes by use, and delete this DAG.
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
