"""ecr-refresher keeps the Amazon ECR logins of Airflow connections and Docker hosts fresh."""

__version__ = "0.1.0"
