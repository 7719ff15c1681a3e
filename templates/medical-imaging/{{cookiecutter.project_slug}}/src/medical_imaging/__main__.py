"""`python -m medical_imaging` is the command `medical-imaging`."""

import sys

from medical_imaging.cli import main

sys.exit(main())
