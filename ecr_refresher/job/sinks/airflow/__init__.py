"""Airflow connections as sinks: the API of Airflow 3, Airflow 2 and MWAA, and (in `backends`) the secrets backends.

Logins and rules of the API live here; which slots are due and what is fetched for them does not.
"""
