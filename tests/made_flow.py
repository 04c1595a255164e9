"""A plausible flow from seeded numbers, for tests: consistent, but of no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analytics.io.fitting import place
from analytics.store.provenance import make_provenance
from analytics.studies.flow_record import (
    MAP_NAMES,
    Flow,
    FlowMap,
    Massive,
    Redistribution,
    ShiftConsistency,
    WhatIf,
)
from analytics.types import PatchGrid, Picture, TokenLayout

THRESHOLD = 5.0
STEPS, ORDERS = 8, 3


def made_flow(
    rows: int = 4,
    columns: int = 4,
    layers: int = 3,
    prefix: tuple[str, ...] = ("cls", "reg0"),
    names: Sequence[str] = MAP_NAMES,
    seed: int = 0,
    key: str = "f" * 64,
    sha256: str = "a" * 64,
    massive: int = 1,
    classes: bool = True,
) -> Flow:
    """A flow in which the last patch is a sink from the second layer on.

    Args:
        rows: of the grid.
        columns: of the grid.
        layers: of the model.
        prefix: its prefix tokens.
        names: maps that it has; of the others a note says why not.
        seed: of the numbers.
        key: id of the record.
        sha256: of the picture.
        massive: number of massive activations.
        classes: whether the model names classes.
    """
    generator = np.random.default_rng(seed)
    layout = TokenLayout(prefix, PatchGrid(rows, columns))
    tokens = layout.num_tokens
    received = generator.gamma(4, 0.1, (layers, tokens))
    received[1:, -1] = 0.45 * tokens
    received = received / received.mean(1, keepdims=True)
    fractions = np.linspace(0, 1, STEPS + 1).astype(np.float32)
    falling = np.stack([(1 - fractions) ** (1 + 0.1 * i) for i in range(ORDERS)])
    top = (("tabby", 0.62), ("tiger cat", 0.21)) if classes else ()
    pixels = generator.integers(0, 256, (90, 120, 3), np.uint8)
    missing = [name for name in MAP_NAMES if name not in names]
    return Flow(
        id=key,
        picture=Picture("holiday & co.png", sha256, pixels),
        placement=place(90, 120, "crop", 16 * rows, 16 * columns),
        base_layout=layout,
        model_label="A made model",
        caution="Made up for a test.",
        layer_labels=tuple(f"L{i}" for i in range(layers)),
        num_heads=(2,) * layers,
        target="logit of tabby",
        score="probability of tabby",
        readout_row="the row of the cls token",
        maps=tuple(_map(name, fractions, rows, columns, generator) for name in names),
        fractions=fractions,
        random_deletion=falling.astype(np.float32),
        random_insertion=(1 - falling).astype(np.float32),
        readout_attention=generator.dirichlet(np.ones(tokens), layers).astype(np.float32),
        received=received.astype(np.float32),
        sinks=received > THRESHOLD,
        sink_threshold=THRESHOLD,
        norms=generator.gamma(20, 1.0, (layers, tokens)).astype(np.float32),
        norm_massive=tuple(
            Massive(layers - 1, layout.names[-1], 7 + i, -300.0 - i, 1500.0 + i)
            for i in range(massive)
        ),
        shift=_shift(layers, generator, classes),
        redistribution=None,
        top=top,
        notes=tuple(f"there is no {name}: made without it" for name in missing),
        provenance=make_provenance(
            "test", "bundled", "b" * 64, {"holiday & co.png": sha256}, {"fit": "crop"}
        ),
    )


def changed_flow(flow: Flow, threshold: float = THRESHOLD, p: float = 0.0) -> Flow:
    """The same flow with a what-if: its sinks receive p times as much, the maps are mirrored."""
    kept = np.where(flow.received > threshold, p, 1.0) * flow.received
    redistribution = Redistribution(
        what_if=WhatIf(threshold, p, True),
        sinks=flow.received > threshold,
        embedding_cosine=0.93,
        score_before=0.62,
        score_after=0.55,
        before=flow.top,
        after=tuple((name, share * 0.9) for name, share in flow.top),
        received=kept.astype(np.float32),
        maps={
            one.name: np.ascontiguousarray(one.values[:, ::-1])
            for one in flow.maps
            if one.name in ("rollout", "raw")
        },
    )
    return replace(flow, id="c" * 64, redistribution=redistribution)


def _map(
    name: str, fractions: np.ndarray, rows: int, columns: int, generator: np.random.Generator
) -> FlowMap:
    power = 2 + MAP_NAMES.index(name)
    values = generator.gamma(1.0, 0.1 * power, (rows, columns)).astype(np.float32)
    deletion = ((1 - fractions) ** power).astype(np.float32)
    insertion = (1 - (1 - fractions) ** power).astype(np.float32)
    return FlowMap(
        name=name,
        title=name.capitalize(),
        definition=f"what {name} is",
        source="a test",
        values=values,
        deletion=deletion,
        insertion=insertion,
        deletion_auc=1 / (power + 1),
        insertion_auc=power / (power + 1),
    )


def _shift(layers: int, generator: np.random.Generator, classes: bool) -> ShiftConsistency:
    shifts = ((0, 1), (1, 0), (2, 2))
    agreement = generator.uniform(0.6, 0.95, (len(shifts), layers)).astype(np.float32)
    agreement[0, 0] = np.nan
    return ShiftConsistency(
        shifts=shifts,
        embedding_cosine=np.array([0.98, 0.95, 0.8], np.float32),
        same_class=np.array([True, True, False]) if classes else None,
        attention_agreement=agreement,
    )
