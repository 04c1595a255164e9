"""What shapes an atlas, and the id that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.store.results import content_key
from analytics.studies.pattern_maps import maps_key
from analytics.studies.patterns_record import Layout
from analytics.types import Fit

if TYPE_CHECKING:
    from analytics.models.autoencoder import PatternCoder
    from analytics.models.registry import LoadedModel

VERSION = 1
"""Raised whenever an atlas made from the same inputs would differ."""

CLUSTERS = 8


@dataclass(frozen=True)
class PatternChoices:
    """What shapes an atlas, beside its pictures: see `make_atlas`.

    Without `epochs` there are as many as give some hundred steps: 12 for large sets, more for
    small ones.
    """

    latent: int = 2
    epochs: int | None = None
    layout: Layout | None = None
    clusters: int = CLUSTERS
    pretrained: bool = False
    fit: Fit = "crop"
    seed: int = 0

    def checked(self) -> PatternChoices:
        """The same with a layout chosen.

        Raises:
            ValueError: a number out of range, or a layout that this latent does not have.
        """
        latent = shipped_coder()[0].latent_size if self.pretrained else self.latent
        if latent < 2 or (self.epochs is not None and self.epochs < 1) or self.clusters < 1:
            raise ValueError(
                "expected a latent of at least 2, and at least 1 epoch and 1 cluster; got "
                f"{latent}, {self.epochs} and {self.clusters}"
            )
        if self.layout not in (None, "autoencoder", "umap"):
            raise ValueError(f"expected a layout of autoencoder or umap, got {self.layout!r}")
        layout = self.layout or ("autoencoder" if latent == 2 else "umap")
        if layout == "autoencoder" and latent != 2:
            raise ValueError(
                f"expected a latent of 2 to lay it out as it is, got {latent}; choose the layout "
                "umap, or a latent of 2"
            )
        return replace(self, latent=latent, layout=layout)


def pretrained_path() -> Path:
    """The shipped coder of the bundled model's maps."""
    from analytics.models.bundled import weights_folder

    return weights_folder() / "patterns_vit_small_patch14.safetensors"


def shipped_coder() -> tuple[PatternCoder, dict[str, str]]:
    """The shipped coder and what is said of it."""
    from analytics.models.autoencoder import read_coder

    return read_coder(pretrained_path())


def atlas_key(loaded: LoadedModel, sha256s: Sequence[str], choices: PatternChoices) -> str:
    """The id of an atlas: the same inputs and choices find what was made before."""
    chosen = choices.checked()
    parts: dict[str, Any] = {
        "atlas": VERSION,
        "maps": maps_key(loaded, sha256s, chosen.fit),
        "choices": [chosen.latent, chosen.layout, chosen.clusters, chosen.seed],
    }
    if chosen.pretrained:
        from analytics.models.identity import weights_sha256

        parts["coder"] = weights_sha256(dict(shipped_coder()[0].state_dict()))
    else:
        parts["epochs"] = chosen.epochs
    return content_key(parts)
