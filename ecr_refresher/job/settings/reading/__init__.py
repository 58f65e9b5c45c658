"""How settings are read: the YAML file, the environment, and the validation of both against `..schema`.

Not here: what keys must fit together. That is in `..resolving`.
"""
