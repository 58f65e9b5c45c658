"""`status`: asks a running daemon over HTTP and prints the answer; it is also the container's health check.

It loads little of the standard library and nothing else. What the daemon answers is in `daemon/web`.
"""
