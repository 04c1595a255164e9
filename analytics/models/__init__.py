"""Models by name: bundled, timm, hub repositories and local checkpoints."""

from analytics.models.pool import ModelPool
from analytics.models.registry import LoadedModel, load_model
from analytics.models.specs import ModelSpec, list_models, parse_model

__all__ = ["LoadedModel", "ModelPool", "ModelSpec", "list_models", "load_model", "parse_model"]
