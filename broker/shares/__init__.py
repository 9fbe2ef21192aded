"""Share groups (KIP-932) at a partition's leader: who was given which records, and what became of them.

`window.py` is what one group does with one partition, pure; `spans.py` says which offsets of what was read are records
to be given; `shares.py` keeps the windows of this broker, stores them and lets locks lapse; `sessions.py` is what
members read, between their requests. Who is in a group, and which partitions it is to read, is groups' business.
"""
