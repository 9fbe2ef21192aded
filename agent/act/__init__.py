"""The only room that changes a cluster: typed actions, approved, journaled, verified, and taken back when asked."""

from agent.act.errors import ActError, NotAllowed, StepFailed
from agent.act.executor import Executor
from agent.act.guard import ActSettings
from agent.act.journal import verify_audit

__all__ = ["ActError", "ActSettings", "Executor", "NotAllowed", "StepFailed", "verify_audit"]
