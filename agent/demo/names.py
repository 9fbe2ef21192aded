"""Believable names: the demo should read like somebody's company, not like a test."""

from __future__ import annotations

TOPICS: tuple[str, ...] = (
    "orders",
    "payments",
    "clickstream",
    "shipments",
    "inventory",
    "page-views",
    "telemetry",
    "invoices",
    "sessions",
    "product-updates",
    "app-logs",
    "sensor-readings",
    "ad-impressions",
    "trades",
    "profiles",
    "search-queries",
)

PURPOSES: tuple[str, ...] = (
    "billing",
    "fraud-scoring",
    "search-indexer",
    "warehouse-loader",
    "notifications",
    "recommendations",
    "audit-archive",
    "dashboards",
    "feature-store",
    "reconciliation",
    "forecasting",
)

ENTITIES: tuple[str, ...] = ("customer", "account", "device", "merchant", "tenant", "store")
