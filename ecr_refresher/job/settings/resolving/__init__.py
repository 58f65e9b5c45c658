"""From typed settings to the plan: defaults that depend on the surroundings, and what must fit together.

Not here: how a single value is written. That is in `..schema`.
"""
