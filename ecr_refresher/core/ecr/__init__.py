"""What a registry's host name says: account, region, kind of endpoint, partition, and its other names.

Nothing here asks AWS; `job/aws` does.
"""
