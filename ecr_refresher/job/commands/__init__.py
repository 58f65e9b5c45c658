"""What the foreground commands print and return, each run by `foreground` in a process of its own.

A pass itself lives in `refresh/`, a cleanup in `cleanup/`; `run`, `status` and `demo` are other wings.
"""
