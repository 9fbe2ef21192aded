"""Bad input for the broker, seeded: every registered API and version."""
