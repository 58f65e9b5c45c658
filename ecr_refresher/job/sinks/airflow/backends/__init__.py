"""The secrets backends that Airflow asks before its database, as places for credentials: a file, and AWS's stores.

What a connection's fields are lives one folder up; here is only where and in which form they are kept.
"""
