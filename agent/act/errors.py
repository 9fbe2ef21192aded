"""Why an action does not happen, or did not."""

from __future__ import annotations


class ActError(Exception):
    """The message names the plan or the step, the reason, and the next step."""


class NotAllowed(ActError):
    """A guard said no: state, expiry, caps, approval, the kill switch. Nothing was called."""


class StepFailed(ActError):
    """The cluster refused, changed, or did not get there in time."""
