"""Figures from records: colours, scales and charts, without a model or a server."""
