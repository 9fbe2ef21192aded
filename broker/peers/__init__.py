"""How brokers speak to each other: a listener of its own, a secret of the cluster, private API keys in Kafka frames."""
