"""One pass: what is looked at, fetched, proved and delivered, in which order and within which time.

How to speak to AWS, a registry or a sink lives in `aws/`, `net/` and `sinks/`; whether a slot needs a token, in `core`.
"""
