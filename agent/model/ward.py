"""Whose is what: one agent keeps risks, plans and money of several clusters, and each cluster's part sees its own.

What belongs to no cluster that is watched now (one that was renamed or taken out of the configuration) is shown by the
part that takes the strays. Showing is all: a plan runs on the cluster it was made for and on no other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ward:
    """One cluster among those of an agent."""

    cluster: str
    others: frozenset[str] = frozenset()
    """The other clusters' names."""
    strays: bool = True
    """Whether what is nobody's is shown here: true of one cluster of an agent."""

    def holds(self, cluster: str) -> bool:
        """Whether what is kept under this name is shown here."""
        return cluster == self.cluster or (self.strays and cluster not in self.others)


def wards(names: list[str]) -> list[Ward]:
    """One for each name; the first takes the strays."""
    every = frozenset(names)
    return [Ward(cluster=name, others=every - {name}, strays=n == 0) for n, name in enumerate(names)]
