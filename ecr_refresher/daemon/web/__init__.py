"""The daemon's HTTP: the server, and the pages that it serves: probes, metrics, status and the page for people.

The pages are computed from the state. How the state changes is in `daemon/machine`.
"""
