"""Trained weights from a hub, with a plain and quick answer where there is no network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WEIGHTS_FILES = (
    "model.safetensors",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "pytorch_model.bin",
    "open_clip_pytorch_model.bin",
)
_ANSWER_SECONDS = 3.0
_INSTEAD = (
    "use the bundled model, add ':random' to a timm name for random weights, or load a local file"
)


def fetch(repository: str, filenames: Sequence[str], needed_for: str) -> Path:
    """The first of these files that the repository holds, from the local cache if it is there.

    A cached file is used without asking the hub. The hub is asked only after it answered one
    short request, because its client otherwise retries for up to 47 s without a network.

    Args:
        repository: `owner/name`, with `@revision` where one is meant.
        filenames: in order of preference.
        needed_for: the model's name for messages.

    Raises:
        ValueError: no network, no such repository or file, or access refused.
    """
    from huggingface_hub import constants, try_to_load_from_cache

    name, _, revision = repository.partition("@")
    for filename in filenames:
        cached = try_to_load_from_cache(name, filename, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    if constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT):
        raise ValueError(_no_network(needed_for, f"{urlsplit(constants.ENDPOINT).netloc}/{name}"))
    return _download(name, revision or None, filenames, needed_for)


def fetch_config(repository: str) -> dict[str, Any]:
    """The `config.json` of a timm repository on the hub.

    Raises:
        ValueError: it cannot be had, or it does not describe a timm model.
    """
    path = fetch(repository, ("config.json",), f"hf-hub:{repository}")
    config = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict) or "architecture" not in config:
        raise ValueError(
            f"hf-hub:{repository} is not a timm repository (its config.json names no timm "
            f"architecture); download its weights and load them as a local file"
        )
    return config


def fetch_url(url: str, needed_for: str) -> Path:
    """A weights file that timm names by URL, kept in torch's cache.

    Raises:
        ValueError: it is not cached and the server does not answer.
    """
    import torch

    target = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
    if not target.is_file():
        host = urlsplit(url)
        if not answers(f"{host.scheme}://{host.netloc}"):
            raise ValueError(_no_network(needed_for, host.netloc))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(target), progress=False)
        except Exception as error:
            raise ValueError(f"download of {needed_for} failed: {_line(error)}") from None
    return target


def answers(endpoint: str, seconds: float = _ANSWER_SECONDS) -> bool:
    """Whether a server answers one short request (through a proxy where one is set)."""
    from huggingface_hub.utils import get_session

    try:
        get_session().head(endpoint, timeout=seconds)
    except Exception:  # the client library, and so its errors, differs between versions
        return False
    return True


def _download(name: str, revision: str | None, filenames: Sequence[str], needed_for: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    for filename in filenames:
        try:
            return Path(hf_hub_download(name, filename, revision=revision))
        except LocalEntryNotFoundError:
            raise ValueError(_no_network(needed_for, name)) from None
        except EntryNotFoundError:
            continue
        except GatedRepoError:
            raise ValueError(f"the hub asks for a licence agreement before {name} opens") from None
        except RepositoryNotFoundError:
            raise ValueError(f"the hub has no public repository {name}") from None
        except Exception as error:
            raise ValueError(f"download of {needed_for} failed: {_line(error)}") from None
    raise ValueError(f"the hub's repository {name} holds none of {', '.join(filenames)}")


def _no_network(needed_for: str, tried: str) -> str:
    return (
        f"the trained weights of {needed_for} are not on this computer and {tried} "
        f"does not answer; {_INSTEAD}"
    )


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
