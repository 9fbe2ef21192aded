"""`/admin/v1`: what an operator needs and Kafka has no API for. What Kafka has one for is not here twice."""
