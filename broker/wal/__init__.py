"""The write-ahead log: `base` is the protocol of all kinds, `kinds` finds one by its URL, `disk` is the local-disk kind
and `holder` its fence, `slots` is the object-store kind and `slot_fence` its fence.
"""
