"""The shapes that cross rooms: findings, risks, plans and steps (docs/architecture.md).

Floor 0 of the agent, and the only part of it that the TUI may import. Every shape is a frozen, keyword-only
dataclass; `to_json` and `from_json` in `agent.model.codec` carry them over HTTP and into `state.sqlite`.
"""
