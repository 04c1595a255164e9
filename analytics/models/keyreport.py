"""How the tensors of a file met those of a module, and whether that is enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

LEAST_COVERED = 0.95
"""Share of an architecture, heads aside, that a checkpoint must fill: of its tensors and of
their numbers. What the file may hold beyond the architecture's trunk is bounded by the rest."""

_HEADS = frozenset({"head", "fc", "classifier", "head_dist", "heads"})
_LISTED = 6
State = Mapping[str, torch.Tensor]
Renamed = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class KeyReport:
    """How the tensors of a file met the tensors of a module, by timm's names.

    `mismatched` holds (name, shape expected, shape in the file); `renamed` holds (name in
    the file, timm's name). Missing heads are listed with the rest in `missing`.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """The report in plain words, one line per kind."""
        lines = [f"{len(self.loaded)} tensors loaded, {len(self.renamed)} of them renamed"]
        if self.missing:
            lines.append(f"not in the file, left random: {_some(self.missing)}")
        if self.unexpected:
            lines.append(f"in the file, not used: {_some(self.unexpected)}")
        if self.mismatched:
            shapes = [f"{n} (expected {want}, got {got})" for n, want, got in self.mismatched]
            lines.append(f"of another shape, left random: {_some(shapes, 2)}")
        return "\n".join(lines)


def compare(found: State, wanted: State, renamed: Renamed) -> KeyReport:
    """Set the tensors of a file, already under timm's names, against a module's."""
    common = [key for key in wanted if key in found]
    fitting = tuple(key for key in common if found[key].shape == wanted[key].shape)
    loaded = set(fitting)
    return KeyReport(
        loaded=fitting,
        missing=tuple(key for key in wanted if key not in found),
        unexpected=tuple(key for key in found if key not in wanted),
        mismatched=tuple(
            (key, tuple(wanted[key].shape), tuple(found[key].shape))
            for key in common
            if key not in loaded
        ),
        renamed=tuple(pair for pair in renamed if pair[1] in loaded),
    )


def head_names(module: nn.Module) -> frozenset[str]:
    """First parts of the names that belong to classifiers of this module."""
    named = (getattr(module, "pretrained_cfg", None) or {}).get("classifier") or ()
    return _HEADS | frozenset((named,) if isinstance(named, str) else named)


def covered(found: State, wanted: State, heads: frozenset[str]) -> float:
    """Share of the module that the file fills, heads aside: the lesser of tensors and numbers."""
    trunk = _trunk(wanted, heads)
    hits = [v.numel() for k, v in trunk.items() if k in found and found[k].shape == v.shape]
    numbers = sum(v.numel() for v in trunk.values())
    return min(len(hits) / len(trunk), sum(hits) / numbers) if numbers else 0.0


def check(report: KeyReport, found: State, wanted: State, heads: frozenset[str], name: str) -> None:
    """Refuse a file that belongs to another architecture.

    Raises:
        ValueError: it fills less than `LEAST_COVERED`, lacks tokens or positions, or its
            trunk holds parts that the architecture lacks.
    """
    advice = "choose the timm name that the checkpoint was trained with"
    if not report.loaded:
        like = ", ".join(list(found)[:3])
        raise ValueError(f"nothing in the file fits {name}: its names are like {like}; {advice}")
    share = covered(found, wanted, heads)
    if share < LEAST_COVERED:
        what = "; ".join(report.text().splitlines()[1:])
        raise ValueError(
            f"the checkpoint fills only {share:.0%} of {name}, at least {LEAST_COVERED:.0%} is "
            f"asked ({what}); {advice}"
        )
    trunk = _trunk(wanted, heads)
    absent = [key for key in trunk if "." not in key and key not in report.loaded]
    if absent:  # tokens and positions are few numbers, yet a model without them is another model
        raise ValueError(f"the checkpoint lacks {_some(absent)} of {name}; {advice}")
    stems = {key.partition(".")[0] for key in trunk if "." in key}
    beyond = _trunk({key: found[key] for key in report.unexpected}, heads)
    surplus = [key for key in beyond if key.partition(".")[0] in stems]
    if len(surplus) > (1 - LEAST_COVERED) * len(trunk):
        raise ValueError(
            f"the checkpoint holds parts that {name} does not have: {_some(surplus)}; {advice}"
        )


def caution(report: KeyReport, heads: frozenset[str]) -> str:
    """What a reader of results must know of a checkpoint that fitted in part; often empty."""
    random = [*report.missing, *(key for key, _, _ in report.mismatched)]
    random = [key for key in random if not _is_head(key, heads)]
    unused = [key for key in report.unexpected if not _is_head(key, heads)]
    said = []
    if random:
        said.append(f"Not in the checkpoint, so random: {_some(random)}.")
    if unused:
        said.append(f"In the checkpoint, but unused: {_some(unused)}.")
    return " ".join(said)


def _is_head(key: str, heads: frozenset[str]) -> bool:
    return any(key == head or key.startswith(f"{head}.") for head in heads)


def _trunk(state: State, heads: frozenset[str]) -> State:
    """Learned tensors outside the heads; index tables and counters do not count."""
    return {k: v for k, v in state.items() if v.is_floating_point() and not _is_head(k, heads)}


def _some(names: Iterable[str], most: int = _LISTED) -> str:
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
