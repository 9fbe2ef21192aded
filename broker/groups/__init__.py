"""Consumer groups: who is in a group, who reads what, and how far it has read.

The classic protocol: `group.py` is the state machine: pure, with the clock handed in. `coordinator.py` does: it parks
requests, stores before it answers, and gives groups up when their partition of `__consumer_offsets` moves.
The new protocol (KIP-848), in which the broker assigns: `consumer_group.py` is the state machine, `assignors.py` says
who gets what, `consumer_coordinator.py` does. Share groups (KIP-932): `share_group.py`, `share_coordinator.py`; what
they do with records is shares/'. `kinds.py` is where the difference does not matter.
"""
