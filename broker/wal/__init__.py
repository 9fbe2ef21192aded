"""The write-ahead log: `base` is the protocol of all kinds, `disk` the local-disk kind, `holder` its fence."""
