"""What `check` tries (`legs/`), in which order (`trying`), and how it judges what it finds.

Everything here only looks. Printing lives in `commands/check`; looks and proofs themselves in `sinks/`, `aws/`, `net/`.
"""
