"""Who may use how much: Kafka's client quotas, heeded by each broker for itself."""
