"""Models loaded by spec: sizes, dtype, device, controls, and no network."""

import json

import huggingface_hub
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from analytics.models import building, list_models, load_model, parse_model
from analytics.models.registry import parse_device


@pytest.fixture
def no_network(monkeypatch):
    """A hub that refuses connections, and an empty cache."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)


def test_random_weights_are_a_labelled_control_and_the_same_each_time():
    state = torch.random.get_rng_state()
    first, second = (load_model(parse_model("test_vit:random")) for _ in range(2))
    assert first.label == "test_vit, random weights (control)"
    assert "nothing here was learned" in first.caution
    assert first.weights_sha256 == second.weights_sha256
    assert torch.equal(state, torch.random.get_rng_state())


def test_layer_scale_of_a_control_is_open():
    module = load_model(parse_model("test_vit3:random")).module
    gammas = [p for name, p in module.named_parameters() if name.endswith("gamma")]
    assert all(torch.equal(gamma, torch.ones_like(gamma)) for gamma in gammas)


def test_residual_norms_that_start_at_zero_are_opened():
    with torch.random.fork_rng():
        module = timm.create_model("swinv2_cr_tiny_ns_224", depths=(1, 1, 1, 1))
    norm = module.stages[0].blocks[0].norm1.weight
    assert float(norm.detach().max()) < 0.5
    assert building.open_residuals(module) >= 4
    assert torch.equal(norm, torch.ones_like(norm))


def test_the_asked_size_is_built_and_runs():
    loaded = load_model(parse_model("test_vit:random"), 224)
    assert loaded.input_size == (224, 224)
    assert loaded.patch_size == 16
    assert 224 in loaded.sizes
    tokens = loaded.module.forward_features(torch.zeros(1, 3, 224, 224))
    assert tokens.shape[1] == 1 + 14 * 14


def test_without_a_size_the_native_one_is_built():
    loaded = load_model(parse_model("test_vit:random"))
    assert loaded.input_size == (160, 160)
    assert loaded.size_step == 16
    assert loaded.size_limits == (160, 1036)


def test_a_convolutional_network_loads_at_any_size():
    loaded = load_model(parse_model("test_resnet:random"), 224)
    assert loaded.module(torch.zeros(1, 3, 224, 224)).shape == (1, 1000)
    assert loaded.patch_size is None


def test_attention_stays_fused():
    module = load_model(parse_model("test_vit:random")).module
    assert all(block.attn.fused_attn for block in module.blocks)


def test_bfloat16_changes_the_numbers_but_not_the_identity():
    plain = load_model(parse_model("test_vit:random"))
    half = load_model(parse_model("test_vit:random"), dtype="bfloat16")
    assert {p.dtype for p in half.module.parameters()} == {torch.bfloat16}
    assert half.weights_sha256 == plain.weights_sha256
    assert half.nbytes * 2 == plain.nbytes


@pytest.mark.parametrize("size", [100, 170, 2000])
def test_a_size_that_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match=f"multiple of 16 px from 160 to 1036; got {size}"):
        load_model(parse_model("test_vit:random"), size)


@pytest.mark.parametrize("dtype", ["float16", "int8", ""])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(ValueError, match="dtype of float32 or bfloat16"):
        load_model(parse_model("test_vit:random"), dtype=dtype)


def test_cpu_and_auto_are_devices():
    assert parse_device("cpu") == torch.device("cpu")
    assert parse_device("auto").type in ("cpu", "cuda")


@pytest.mark.parametrize("text", ["gpu", "cuda:", "cuda:x", "cpu:0", "", "tpu:1"])
def test_other_devices_are_refused(text):
    with pytest.raises(ValueError, match="auto, cpu, cuda or cuda:i"):
        parse_device(text)


def test_a_missing_gpu_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="no CUDA device; use cpu or auto"):
        parse_device("cuda:1")


@pytest.mark.parametrize("name", ["test_vit", "hf-hub:timm/test_vit.r160_in1k"])
def test_without_a_network_the_answer_is_plain_and_silent(name, no_network, capfd, caplog):
    with pytest.raises(ValueError, match="does not answer; use the bundled model") as refusal:
        load_model(parse_model(name))
    assert "\n" not in str(refusal.value)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_cached_file_needs_no_network(no_network, monkeypatch, tmp_path):
    drawn = load_model(parse_model("test_vit:random"))
    stored = {name: tensor.contiguous() for name, tensor in drawn.module.state_dict().items()}
    path = tmp_path / "model.safetensors"
    save_file(stored, path)
    monkeypatch.setattr(
        huggingface_hub,
        "try_to_load_from_cache",
        lambda name, filename, **_: str(path) if filename == path.name else None,
    )
    loaded = load_model(parse_model("test_vit"), 224)
    head = "head.weight"
    assert torch.equal(loaded.module.state_dict()[head], stored[head])
    assert loaded.input_size == (224, 224)
    assert loaded.weights_sha256 == drawn.weights_sha256


def test_a_hub_repository_is_built_as_its_config_says(no_network, monkeypatch, tmp_path):
    with torch.random.fork_rng():
        source = timm.create_model("test_vit", num_classes=7)
    save_file(
        {n: t.contiguous() for n, t in source.state_dict().items()}, tmp_path / "model.safetensors"
    )
    config = {
        "architecture": "test_vit",
        "num_classes": 7,
        "pretrained_cfg": {
            "input_size": [3, 160, 160],
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "num_classes": 7,
            "fixed_input_size": True,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
            "hf_hub_id": "elsewhere/other",
            "an_entry_of_a_later_version": 1,
        },
        "model_args": {"num_classes": 7},
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setattr(
        huggingface_hub,
        "try_to_load_from_cache",
        lambda name, filename, **_: (
            str(tmp_path / filename) if (tmp_path / filename).is_file() else None
        ),
    )
    loaded = load_model(parse_model("hf-hub:owner/name"))
    assert loaded.mean == (0.1, 0.2, 0.3)
    picture = torch.ones(1, 3, 160, 160)
    assert torch.equal(loaded.module(picture), source.eval()(picture))


def test_a_repository_of_another_library_is_refused(no_network, monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["Dinov2Model"]}', encoding="utf-8")
    monkeypatch.setattr(
        huggingface_hub, "try_to_load_from_cache", lambda *_, **__: str(tmp_path / "config.json")
    )
    with pytest.raises(ValueError, match="is not a timm repository"):
        load_model(parse_model("hf-hub:owner/name"))


def test_an_architecture_without_trained_weights_says_so():
    name = list_models("vit", pretrained=False)[0]
    with pytest.raises(ValueError, match=f"no trained weights for {name}; write {name}:random"):
        load_model(parse_model(name))
