"""`python -m tests.bars.hosts ...`: a broker that takes its host for its own and sees no other broker's processes or
locks, as when each runs on a machine of its own. What tells of a death is then silence, and nothing quicker.
"""

from __future__ import annotations

import sys

from broker import main, node
from broker.wal import holder, kinds

if __name__ == "__main__":
    host = f"{holder.boot_id()}-{sys.argv[sys.argv.index('--id') + 1]}"
    for module in (holder, kinds, node):
        module.boot_id = lambda: host  # type: ignore[attr-defined]
    sys.exit(main.main())
