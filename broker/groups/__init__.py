"""Consumer groups, the classic protocol: who is in a group, which generation it is in, and how far it has read.

`group.py` is the state machine: pure, with the clock handed in. `coordinator.py` does: it parks requests, stores
before it answers, and gives groups up when their partition of `__consumer_offsets` moves.
"""
