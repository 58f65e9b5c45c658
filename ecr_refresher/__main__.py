"""`python -m ecr_refresher` is the same as `ecr-refresher`."""

import sys

from .cli import main

sys.exit(main())
