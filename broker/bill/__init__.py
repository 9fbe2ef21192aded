"""The embedded cloud's bill: FOCUS 1.2 rows for what this broker used, one Parquet file per run of a broker and hour.

A bill that the same code writes and reads proves nothing: this room shares no code and no price file with those who
read it. It counts requests at the store's boundary, and knows nothing of `/metrics`.
"""
