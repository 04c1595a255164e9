"""Which model is meant: names, their spelling as one string, and the searchable list.

timm is imported inside the functions, because app start imports this module.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

Source = Literal["bundled", "timm", "hub", "file"]

BUNDLED = "bundled"
RANDOM_SUFFIX = ":random"
_HUB_PREFIX = "hf-hub:"
_FILE_PREFIX = "file:"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


@dataclass(frozen=True)
class ModelSpec:
    """One model, before it is loaded.

    `name` is timm's name (an architecture, or architecture.tag), `owner/name` of a hub
    repository, or `bundled`. `pretrained` is False only for random weights.
    `checkpoint` is set only for `file`, where `name` says the architecture.
    """

    source: Source
    name: str
    pretrained: bool = True
    checkpoint: Path | None = None

    @property
    def id(self) -> str:
        """The spelling that `parse_model` reads back into an equal spec."""
        if self.source == "hub":
            return f"{_HUB_PREFIX}{self.name}"
        if self.source == "file":
            return f"{_FILE_PREFIX}{self.name}@{self.checkpoint}"
        return self.name if self.pretrained else f"{self.name}{RANDOM_SUFFIX}"

    @property
    def public_id(self) -> str:
        """The id for results that leave the machine: a weights file by its name alone."""
        if self.checkpoint is None:
            return self.id
        return f"{_FILE_PREFIX}{self.name}@{self.checkpoint.name}"


def parse_model(text: str, checkpoint: Path | None = None) -> ModelSpec:
    """Read a model's name as the page, the command line and a deep link write it.

    Args:
        text: `bundled`, a timm name, a timm name followed by `:random`,
            `hf-hub:owner/name`, or `file:TIMM_NAME@PATH`.
        checkpoint: a local weights file; `text` is then the timm name it fits.

    Raises:
        ValueError: the name is unknown (with the nearest names) or badly formed.
    """
    text = text.strip()
    if text.startswith(_FILE_PREFIX) and checkpoint is None:
        name, _, path = text.removeprefix(_FILE_PREFIX).partition("@")
        if not path:
            raise ValueError(f"expected file:TIMM_NAME@PATH, got {text!r}")
        return ModelSpec("file", _known(name), checkpoint=Path(path))
    if checkpoint is not None:
        return ModelSpec("file", _checkpoint_architecture(text), checkpoint=Path(checkpoint))
    if text == BUNDLED:
        return ModelSpec("bundled", BUNDLED)
    if text.startswith(_HUB_PREFIX):
        return ModelSpec("hub", _hub_name(text))
    name = text.removesuffix(RANDOM_SUFFIX)
    return ModelSpec("timm", _known(name), pretrained=name == text)


def list_models(filter: str = "", pretrained: bool | None = None) -> list[str]:
    """Names that match, in alphabetical order, the bundled model first.

    Args:
        filter: words that all occur in the name; one with `*` is a pattern for the whole
            name. Case is ignored.
        pretrained: True for names that have weights on a hub (architecture.tag), False
            for architectures without any (random weights only), None for every
            architecture.
    """
    import timm

    if pretrained:
        names = timm.list_models(pretrained=True)
    else:
        names = timm.list_models()
        if pretrained is False:
            names = [name for name in names if not has_weights(name)]
    if pretrained is not False:
        names = [BUNDLED, *names]
    return [name for name in names if _matches(name, filter.lower())]


def has_weights(name: str) -> bool:
    """Whether timm knows where to get trained weights of this name."""
    import timm

    config = timm.get_pretrained_cfg(name)
    return config is not None and bool(config.hf_hub_id or config.url)


def _matches(name: str, wanted: str) -> bool:
    low = name.lower()
    return all(fnmatchcase(low, w) if "*" in w else w in low for w in wanted.split())


def _hub_name(text: str) -> str:
    name = text.removeprefix(_HUB_PREFIX)
    if not _HUB_NAME.fullmatch(name):
        raise ValueError(f"expected hf-hub:owner/name, got {text!r}")
    return name


def _checkpoint_architecture(text: str) -> str:
    if text == BUNDLED or text.startswith(_HUB_PREFIX) or text.endswith(RANDOM_SUFFIX):
        raise ValueError(
            f"a checkpoint needs the timm name of its architecture, such as "
            f"vit_small_patch14_dinov2; got {text!r}"
        )
    return _known(text)


def _known(name: str) -> str:
    """The name, if timm has the architecture and, where one is given, the tag."""
    import timm

    architecture, dot, _ = name.partition(".")
    if not name or not timm.is_model(architecture):
        raise ValueError(f"timm has no model named {name!r}{_nearest(architecture)}")
    if dot and not timm.is_model_pretrained(name):
        tagged = timm.list_pretrained(f"{architecture}.*")
        offered = ", ".join(tagged[:5]) or "none"
        raise ValueError(f"timm has no weights named {name!r}; of {architecture} it has: {offered}")
    return name


def _nearest(name: str) -> str:
    import timm

    near = difflib.get_close_matches(name.lower(), timm.list_models(), n=3, cutoff=0.6)
    return f"; the nearest names are {', '.join(near)}" if near else "; search the list for a part"
