"""`python -m analytics.cli COMMAND`, where the command itself is not installed."""

import sys

from analytics.cli.entry import main

sys.exit(main())
