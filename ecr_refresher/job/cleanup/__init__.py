"""Removes old containers and images: by last use, not by age, as much as needed, and only what can be pulled again.

`policy` judges, `containers` and `images` remove, `run` is one cleanup; `usage/` knows when images were last used.
"""
