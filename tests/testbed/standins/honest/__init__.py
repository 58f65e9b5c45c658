"""Small servers that answer as Amazon ECR, its registry and Airflow's API do. They never fail on purpose.

The stand-ins that tests start are one folder up: they inherit these, and add faults.
"""
