"""Scriptable stand-ins on loopback: Amazon ECR, a registry's front and Airflow's API.

For the demo and the tests. They need the standard library only and know nothing of the product itself, so that they
can't share its mistakes.
"""
