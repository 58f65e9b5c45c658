"""What the demo runs on: small servers that stand in for Amazon ECR, a registry and Airflow's API.

Nothing of the product lives here, so that a stand-in can't share its mistakes. What tests run on is in tests/testbed.
"""
