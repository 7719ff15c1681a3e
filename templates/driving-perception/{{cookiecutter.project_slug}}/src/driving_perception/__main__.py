"""`python -m driving_perception` is the command `driving-perception`."""

import sys

from driving_perception.cli import main

sys.exit(main())
