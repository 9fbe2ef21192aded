"""What can go wrong with money: each message names file, row and column, and the next step."""

from __future__ import annotations


class BillError(Exception):
    """A bill that cannot be read."""


class PriceError(Exception):
    """A price book that cannot be used, or has no price for what was asked."""


class LedgerError(Exception):
    """The file of what was metered cannot be opened or written."""


class WhatIfError(Exception):
    """A change that cannot be calculated."""
