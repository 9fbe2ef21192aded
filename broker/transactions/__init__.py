"""Transactions: who holds a transactional id, what its transaction has written to, and how it ends.

`state.py` decides, pure, on one row. `coordinator.py` carries decisions out in SQL, and `finishing.py` sees to it that
what was decided reaches every partition as a marker, through `delivery.py`. Nothing is kept in memory that a successor
would miss: the rows are the truth, and whoever owns the partition of `__transaction_state` goes on with them.
"""
