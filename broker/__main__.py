"""`python -m broker` is `python -m broker.main`."""

from __future__ import annotations

import sys

from broker.main import main

sys.exit(main())
