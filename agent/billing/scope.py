"""Whose a bill's row is: a company's bill has the rows of every account and cluster it pays for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.billing.columns import quoted

OURS, UNTAGGED, OTHERS = "ours", "untagged", "others"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What makes a row this cluster's. Empty: every row is."""

    account: str = ""
    """BillingAccountId or SubAccountId."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Each key must have its value; AWS's `user:` and CUR's `user_` before a key are passed over."""

    @property
    def sql(self) -> str:
        """`ours`, `untagged` (this account's, without one of the tags: nobody can say) or `others`."""
        whens = []
        if self.account:
            account = quoted(self.account)
            whens.append(
                f"WHEN {account} NOT IN (coalesce(BillingAccountId, ''), coalesce(SubAccountId, '')) THEN '{OTHERS}'"
            )
        for key, value in self.tags.items():
            spelled = (quoted(name) for name in (key, f"user:{key}", f"user_{key}"))
            found = f"coalesce({', '.join(f'json_extract_string(Tags, {name})' for name in spelled)}, '')"
            whens.append(f"WHEN {found} = '' THEN '{UNTAGGED}' WHEN {found} <> {quoted(value)} THEN '{OTHERS}'")
        return f"CASE {' '.join(whens)} ELSE '{OURS}' END" if whens else f"'{OURS}'"
