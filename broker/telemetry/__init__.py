"""What the broker counts about itself, in plain dicts, and how `/metrics` shows it.

Only bytes in and out, log start and end, and log size carry `partition` (law 15). Counters are incremented on the event
loop only; nothing here is locked.
"""
