"""AWS through boto3: credentials, roles, calls and their errors, ECR's tokens, the own registry, IAM policies.

Not here: HTTP itself (net/), and what Airflow's ways into AWS do with their calls (sinks/airflow/).
"""
