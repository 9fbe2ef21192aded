"""The demo: a live cluster with planted problems, which the agent finds, fixes and proves fixed.

It knows what was planted and the agent must not: nothing outside this room imports it (a floor in CI), the agent in it
is a separate process with default thresholds and public flags only, and the two meet over HTTP and the Kafka protocol.
"""
