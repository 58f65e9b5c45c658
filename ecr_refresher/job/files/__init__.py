"""Files as every sink needs them: atomic writes, locks, links, limits, errors in plain words, secrets kept in files.

What the files mean is not here: a `config.json` belongs to `sinks/docker`, Airflow's secrets file to `sinks/airflow`.
"""
