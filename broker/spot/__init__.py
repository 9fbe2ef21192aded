"""This machine will be taken away: who may know is asked, and a broker that is told gives its partitions to others.

`places` says whom to ask and `aws`, `gcp`, `azure`, `alibaba` and `plain` how; `watch` asks and keeps what stands;
`leaving` empties the broker while a notice stands.
"""
