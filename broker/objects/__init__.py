"""The object store: `store` talks to it, `layout` is what lies in it."""

from broker.objects.store import BadStore, ObjectStore, StoreUnavailable, claim, open_store

__all__ = ["BadStore", "ObjectStore", "StoreUnavailable", "claim", "open_store"]
