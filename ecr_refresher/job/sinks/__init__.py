"""Where credentials are delivered, a folder for each kind: Airflow connections, Docker's files, Kubernetes secrets.

Sinks don't know each other, nor where a credential comes from. They share `batches.py`, and files by `job/files`.
"""
