"""Partitions: `logs` is a broker's set of them, `log` one; around them upload, recovery, membership and
housekeeping.
"""

from broker.log.config import LogsConfig, StorageStats
from broker.log.log import Appended, Log, Slice
from broker.log.logs import Logs

__all__ = ["Appended", "Log", "Logs", "LogsConfig", "Slice", "StorageStats"]
