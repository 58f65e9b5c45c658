"""`status`: asks a running daemon. The standard library only, and little of it: it is a container's health check."""
