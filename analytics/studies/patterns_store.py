"""Atlases, their coders and half-done fits on disk."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from analytics.models.autoencoder import PatternCoder, restore_coder
from analytics.store.provenance import parse_provenance, provenance_json
from analytics.store.results import ResultStore
from analytics.studies.pattern_fit import FitState
from analytics.studies.patterns_record import Atlas
from analytics.studies.profile_record import ProfiledImage

FIT, CODER, ATLAS = 0, 1, 2
"""Parts of a result."""


def atlas_parts(atlas: Atlas) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """An atlas as arrays and plain values."""
    arrays, about = {}, {}
    for one in fields(Atlas):
        value = getattr(atlas, one.name)
        if isinstance(value, np.ndarray):
            arrays[one.name] = value
        elif one.name == "images":
            about[one.name] = [[image.name, image.sha256] for image in value]
        elif one.name == "provenance":
            about[one.name] = json.loads(provenance_json(value))
        else:
            about[one.name] = value
    return arrays, about


def restore_atlas(arrays: dict[str, np.ndarray], about: dict[str, Any]) -> Atlas:
    """The inverse of `atlas_parts`."""
    values: dict[str, Any] = {**arrays, **about}
    values["images"] = tuple(ProfiledImage(*one) for one in about["images"])
    values["provenance"] = parse_provenance(json.dumps(about["provenance"]))
    for name in ("heads", "skipped"):
        values[name] = tuple(tuple(one) for one in about[name])
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    return Atlas(**values)


def save_atlas(store: ResultStore, atlas: Atlas, coder: PatternCoder) -> None:
    """Keep an atlas and its coder; the half-done fit is no longer needed."""
    tensors = {name: tensor.cpu().numpy() for name, tensor in coder.state_dict().items()}
    about = {"kind": coder.kind, "latent_size": coder.latent_size}
    store.put(atlas.id, CODER, tensors, about)
    store.put(atlas.id, ATLAS, *atlas_parts(atlas))
    store.put(atlas.id, FIT, {}, {"train_losses": [], "held_out_losses": []})


def load_atlas(store: ResultStore, key: str) -> Atlas | None:
    """A finished atlas; None where there is none yet (`load_losses` says how far it is)."""
    found = [(arrays, about) for part, arrays, about in store.parts(key) if part == ATLAS]
    return restore_atlas(*found[0]) if found else None


def load_coder(store: ResultStore, key: str) -> PatternCoder | None:
    """The coder of an atlas; None where there is none yet."""
    for part, arrays, about in store.parts(key):
        if part == CODER:
            tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
            return restore_coder(about["kind"], about["latent_size"], tensors)
    return None


def load_losses(store: ResultStore, key: str) -> dict[str, Any] | None:
    """The losses so far of a fit: `train`, `held_out` (an epoch each) and `epochs` wanted."""
    return store.attached(key, "losses")


def keep_fit(store: ResultStore, key: str, state: FitState, epochs: int) -> None:
    """Keep a fit after a whole epoch, and its losses where a page can read them."""
    losses = {"train_losses": state.train_losses, "held_out_losses": state.held_out_losses}
    arrays = {name: tensor.cpu().numpy() for name, tensor in state.tensors.items()}
    store.put(key, FIT, arrays, losses)
    done = {"train": state.train_losses, "held_out": state.held_out_losses, "epochs": epochs}
    store.attach(key, "losses", done)


def held_fit(store: ResultStore, key: str, device: str) -> FitState | None:
    """Where an interrupted fit stopped."""
    for part, arrays, about in store.parts(key):
        if part == FIT and arrays:
            tensors = {name: torch.from_numpy(one).to(device) for name, one in arrays.items()}
            return FitState(tensors, about["train_losses"], about["held_out_losses"])
    return None
