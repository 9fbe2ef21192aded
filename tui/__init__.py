"""The screen: brokers, findings, plans and chat of one agent, over its HTTP API and nothing else."""
