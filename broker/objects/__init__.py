"""The object store. Backends do single requests, `store` makes them dependable, `budget` says who goes first, `probe`
finds out whether a store is fit, and `layout` is what lies in it.
"""

from broker.objects.budget import Bandwidth, Priority
from broker.objects.faults import BadStore, StoreUnavailable
from broker.objects.opening import open_store
from broker.objects.probe import claim
from broker.objects.store import ObjectStore

__all__ = ["BadStore", "Bandwidth", "ObjectStore", "Priority", "StoreUnavailable", "claim", "open_store"]
