"""Which keys the settings have, of which kinds, and their defaults: pydantic models, read by `..reading.validation`.

Not here: what keys must fit together, and defaults that depend on the surroundings. Those are in `..resolving`.
"""
