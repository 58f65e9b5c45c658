"""Kubernetes pull secrets: looked at, created, updated in place, and named in ServiceAccounts.

Which slots need a credential is decided elsewhere. The `kubernetes` client is loaded only where a plan has such a sink.
"""
