"""The device that the server's models live on."""

from __future__ import annotations


def resolve_device(name: str) -> str:
    """`auto` becomes the first GPU where there is one, and the processor otherwise.

    One spelling for each device, because the pool holds models by device name.

    Args:
        name: `auto`, `cpu`, `cuda` or `cuda:1`.

    Raises:
        ValueError: another name, or a GPU that this machine does not have.
    """
    from analytics.models.registry import parse_device

    return str(parse_device(name))
