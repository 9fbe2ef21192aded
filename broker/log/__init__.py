"""Partitions: `logs` is a broker's set of them, `log` one; around them upload, recovery, membership and
housekeeping.
"""

from broker.log.answers import Appended, Slice
from broker.log.config import LogsConfig, StorageStats
from broker.log.log import Log
from broker.log.logs import Logs

__all__ = ["Appended", "Log", "Logs", "LogsConfig", "Slice", "StorageStats"]
