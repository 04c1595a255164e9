"""What a flow leaves out and says so, what it refuses, and what it hands on."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.models.swin_transformer import SwinTransformer

from analytics.io.export import json_bytes, npz_bytes
from analytics.io.images import read_picture
from analytics.models.registry import load_model, parse_model
from analytics.studies import flow_gradients
from analytics.studies.attend import attend
from analytics.studies.flow import flow_key, measure_flow
from analytics.studies.flow_record import WhatIf, flow_arrays, flow_values
from tests.studies.flow_making import stirred, vit
from tests.studies.making import Made


@pytest.fixture(scope="module")
def base():
    return load_model(parse_model("test_vit:random"))


@pytest.fixture(scope="module")
def picture():
    return read_picture(Made("a.png", 3).read_bytes(), "a.png")


@pytest.fixture(scope="module")
def models(base):
    return {
        "classes": vit(base, num_classes=5),
        "embedding": vit(base, num_classes=0),
        "average": vit(base, num_classes=0, class_token=False, global_pool="avg"),
    }


@pytest.fixture(scope="module")
def flow(models, picture):
    return measure_flow(models["classes"], picture, steps=3, redistribute=WhatIf(1.2, 0.25))


def test_windows_say_why_there_are_no_maps(base, picture):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = SwinTransformer(
            img_size=64, patch_size=4, embed_dim=24, depths=(2, 2), num_heads=(2, 4), window_size=4
        )
    flow = measure_flow(stirred(base, module, 64), picture, steps=2, redistribute=WhatIf(1.5, 0.5))
    assert flow.maps == ()
    assert any("attention stays inside windows" in note for note in flow.notes)
    with pytest.raises(ValueError, match=r"expected a map out of none; got 'rollout' .*windows"):
        flow.map("rollout")
    assert flow.received.shape == (4, 256)
    # In each layer's windows the keys share what the queries give.
    assert flow.received.mean(axis=1) == pytest.approx(1, abs=1e-4)
    assert np.isnan(flow.norms).all()
    assert np.isnan(flow.shift.attention_agreement).all()
    assert np.isfinite(flow.shift.embedding_cosine).all()
    assert np.isfinite(flow.redistribution.embedding_cosine)


def test_nan_in_attention_is_named(base, picture):
    loaded = vit(base, num_classes=0)
    with torch.no_grad():
        loaded.module.blocks[1].attn.qkv.bias[0] = math.nan
    flow = measure_flow(loaded, picture, steps=1)
    assert [note[:2] for note in flow.notes if "NaN or infinity" in note] == ["L1", "L2"]
    assert np.isfinite(flow.received[0]).all()
    assert np.isnan(flow.map("rollout").deletion).all()
    assert not flow.sinks[1:].any()
    json_bytes(flow_values(flow))


def test_gradients_that_are_too_large_are_left_out(models, picture, monkeypatch):
    monkeypatch.setattr(flow_gradients, "GRADIENT_BYTES", 1000)
    flow = measure_flow(models["average"], picture, steps=1)
    assert [one.name for one in flow.maps] == ["rollout", "raw"]
    assert any(note.startswith("relevance and LeGrad left out") for note in flow.notes)


def test_what_cannot_be_asked_is_refused(models, picture):
    with pytest.raises(ValueError, match="expected no target for a model without classes"):
        measure_flow(models["embedding"], picture, target=3)
    with pytest.raises(ValueError, match="its number from 0 to 4, got 5"):
        measure_flow(models["classes"], picture, target=5)
    with pytest.raises(ValueError, match="expected p from 0"):
        measure_flow(models["average"], picture, redistribute=WhatIf(2, 1.5))
    with pytest.raises(ValueError, match="a multiple of uniform attention above 0"):
        measure_flow(models["average"], picture, redistribute=WhatIf(0, 0.5))


def test_the_key_knows_every_input(models, flow, picture):
    loaded, plain = models["classes"], flow_key(models["classes"], picture.sha256)
    others = [
        flow_key(models["classes"], "0" * 64),
        flow_key(loaded, picture.sha256, "pad"),
        flow_key(loaded, picture.sha256, target=1),
        flow_key(loaded, picture.sha256, steps=3),
        flow_key(loaded, picture.sha256, seed=1),
        flow_key(loaded, picture.sha256, redistribute=WhatIf(5, 0)),
        flow_key(replace(loaded, dtype="bfloat16"), picture.sha256),
    ]
    assert len({plain, *others}) == 8
    wanted = flow_key(loaded, picture.sha256, steps=3, redistribute=WhatIf(1.2, 0.25))
    assert flow.id == wanted


def test_progress_rises_and_can_cancel(models, picture):
    seen = []
    measure_flow(models["average"], picture, steps=2, progress=lambda *one: seen.append(one))
    assert [one[0] for one in seen] == sorted(one[0] for one in seen)
    assert seen[-1] == (100, 100, "done")

    def stop(done, total, message):
        if "removing patches" in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_flow(models["average"], picture, steps=2, progress=stop)


def test_export_holds_every_number(flow):
    arrays = flow_arrays(flow)
    assert npz_bytes(arrays, "{}")[:2] == b"PK"
    assert arrays["map_legrad"] is flow.map("legrad").values
    assert arrays["shift_same_class"].dtype == bool
    values = json.loads(json_bytes(flow_values(flow)))
    assert values["maps"]["rollout"]["deletion_auc"] == flow.map("rollout").deletion_auc
    pixels = flow.picture.pixels.nbytes
    assert flow.nbytes == sum(one.nbytes for one in arrays.values()) + pixels


def test_the_bundled_model_agrees_with_the_lens(assets):
    path = assets / "images" / "coins.png"
    picture = read_picture(path.read_bytes(), path.name)
    loaded = load_model(parse_model("bundled"), 224)
    flow, record = measure_flow(loaded, picture, steps=1), attend(loaded, picture)
    for layer, row in enumerate(record.rows("cls", "to")):
        np.testing.assert_allclose(flow.readout_attention[layer], row.mean(0), atol=1e-5)
    np.testing.assert_allclose(flow.norms, np.stack(record.token_norms), rtol=1e-4)
    np.testing.assert_allclose(
        flow.map("raw").values.reshape(-1), flow.readout_attention[-1, 1:], rtol=1e-6
    )
    assert flow.received.mean(axis=1) == pytest.approx(1, abs=1e-4)
    assert flow.norm_massive == ()  # as measured on eight photographs
    assert flow.sink_life()["cls"] == tuple(range(12))


def test_another_thread_with_the_same_model_leaves_no_streams(models, picture):
    import threading

    import torch

    from analytics.studies.flow_passes import watch_streams

    loaded = models["average"]
    pixels = torch.zeros(1, 3, *loaded.input_size)
    with torch.no_grad(), watch_streams(loaded.module) as streams:
        other = threading.Thread(target=loaded.module, args=(pixels,))
        other.start()
        other.join()
        assert streams == []
        loaded.module(pixels)
    assert len(streams) == len(loaded.module.blocks)
