"""`python -m fraud_detection` is the command `fraud-detection`."""

import sys

from fraud_detection.cli import main

sys.exit(main())
