"""The network, in one way for every client: proxies, trust, single requests; what a registry and an engine answer.

Not here: AWS's API (aws/), Airflow's and Kubernetes' (sinks/).
"""
