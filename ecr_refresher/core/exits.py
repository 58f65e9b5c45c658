"""The exit statuses of every command; part of the contract."""

from __future__ import annotations

EXIT_DONE = 0  # a daemon that was told to end, too
EXIT_FAILED = 1  # something that was asked for failed
EXIT_USAGE = 2  # the settings or the command line are wrong, found before any network I/O
EXIT_MEMORY = 4  # of a worker, for the supervisor: it reached its own memory limit
