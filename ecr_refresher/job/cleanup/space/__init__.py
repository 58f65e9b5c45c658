"""The engine's disk: where it is, how full, what is being downloaded onto it, and what no rule of the cleanup covers.

Only looks. What goes is decided by `policy`, and removed by `containers` and `images`.
"""
