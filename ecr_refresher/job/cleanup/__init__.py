"""Old containers and images go: by use and not by age, as much as needed, and only what can be had again.

`policy` judges, `containers` and `images` remove, `run` is one cleanup; `usage/` knows when images were last used.
"""
