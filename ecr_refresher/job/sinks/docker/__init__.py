"""The sink `config.json`: the docker login of one user, in the file or in the credential helper that the file names.

Whether a login is due, and what a registry or an engine thinks of it, is not decided here.
"""
