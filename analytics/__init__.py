"""Attention Atlas engine: what attention looks at, which parts matter, and why."""
