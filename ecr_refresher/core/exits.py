"""The exit statuses of every command; part of the contract."""

EXIT_DONE = 0  # also a daemon that a signal ended
EXIT_FAILED = 1  # something failed
EXIT_USAGE = 2  # the settings or the command line are wrong; found before any network I/O
EXIT_MEMORY = 4  # of a worker, for the supervisor: it reached its own memory limit
