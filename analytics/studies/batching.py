"""How many pictures and heads are run as one batch when heads are taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analytics.capture.sites import SiteMap
    from analytics.models.registry import LoadedModel

BATCH = 4
"""Pictures whose clean pass is held at once: small, so that a stop loses little.

On a CPU larger batches, and several heads in one, cost more than they save.
"""


def batch_plan(loaded: LoadedModel, sites: SiteMap) -> tuple[int, int]:
    """Pictures in a batch, and heads of a layer that are run as one batch.

    On a GPU all heads of a layer run together, on as many pictures (at most 64) as a quarter
    of its free memory holds; on a CPU few pictures and one head at a time are fastest.
    """
    if not loaded.device.startswith("cuda"):
        return BATCH, 1
    import torch

    together = max(site.num_heads for site in sites.sites)
    free, _ = torch.cuda.mem_get_info(loaded.device)
    tokens = max(site.num_windows * site.query_tokens for site in sites.sites)
    width = int(getattr(loaded.module, "num_features", 1024))
    # A clean pass keeps about six tensors of this size a layer; a copy in flight takes a dozen.
    picture = 4 * tokens * width * (6 * len(sites.sites) + 12 * together)
    return max(1, min(64, free // 4 // picture)), together
