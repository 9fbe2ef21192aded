"""Real Kafka clients against real brokers."""
