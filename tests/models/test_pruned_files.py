"""Pruned models written to files and built again, in a fresh process by plain timm."""

import json
import subprocess
import sys

import pytest
import timm
import torch
from safetensors import safe_open

from analytics.models import bundled
from analytics.models.pruned_files import load_pruned, write_pruned
from analytics.models.pruning import count_parameters, prune_heads
from tests.models.pruning_cases import (
    CASES,
    arguments_of,
    build,
    noise,
    sites_of,
    some_heads,
    stirred,
)

FRESH = """
import json, sys
from importlib.util import module_from_spec, spec_from_file_location
sys.modules["analytics"] = None
import torch
for folder in json.loads(sys.argv[1]):
    spec = spec_from_file_location("load_pruned", folder + "/load_pruned.py")
    loader = module_from_spec(spec)
    spec.loader.exec_module(loader)
    model = loader.load()
    with torch.no_grad():
        torch.save(model(torch.load(folder + "/pixels.pt")), folder + "/logits.pt")
print(sorted(name for name in sys.modules if name.startswith("analytics.")))
"""


@torch.no_grad()
def run(model, pixels):
    return model(pixels)


def written(case, folder, seed=1):
    """A model of the case, pruned and written; the model, the pruned one and the heads."""
    model = build(case)
    heads = some_heads(sites_of(case, model), seed)
    pruned = prune_heads(model, heads)
    files = write_pruned(folder, model, pruned, *arguments_of(case), heads, '{"seed": 1}')
    assert [path.name for path in files] == ["pruned.safetensors", "recipe.json", "load_pruned.py"]
    assert all(path.parent == folder and path.is_file() for path in files)
    return model, pruned, heads


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Case -> logits of the pruned model here, and of the files in a process without analytics."""
    root, here = tmp_path_factory.mktemp("pruned"), {}
    for case in CASES:
        _, pruned, _ = written(case, root / case)
        torch.save(noise(case), root / case / "pixels.pt")
        here[case] = run(pruned, noise(case))
    folders = json.dumps([str(root / case) for case in CASES])
    command = [sys.executable, "-I", "-c", FRESH, folders]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    return {case: (here[case], torch.load(root / case / "logits.pt")) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_a_fresh_process_with_plain_timm_gives_the_same_logits(case, fresh):
    here, there = fresh[case]
    assert here.shape == (2, 7)
    assert torch.allclose(here, there, atol=1e-6, rtol=0)


@pytest.mark.parametrize("case", ["vit", "eva", "beit", "swin v2"])
def test_the_files_load_in_this_process(case, tmp_path):
    _, pruned, _ = written(case, tmp_path / "new" / "folder")
    again = load_pruned(tmp_path / "new" / "folder")
    assert not again.training
    assert count_parameters(again) == count_parameters(pruned)
    assert torch.allclose(run(again, noise(case)), run(pruned, noise(case)), atol=1e-6, rtol=0)


def test_the_recipe_says_what_is_in_the_files(tmp_path):
    model = build("vit")
    heads = {"blocks.0.attn": [1], "blocks.2.attn": [0, 1, 2]}
    pruned = prune_heads(model, heads)
    write_pruned(tmp_path, model, pruned, *arguments_of("vit"), heads, '{"seed": 1}')
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    head = 3 * 16 * 48 + 3 * 16 + 48 * 16
    assert recipe["parameters"]["before"] - recipe["parameters"]["after"] == 4 * head
    assert recipe["architecture"] == "vit_tiny_patch16_224"
    assert recipe["build_arguments"]["img_size"] == 32
    assert recipe["input"] == {"size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3}
    assert list(recipe["attention"]) == list(heads)
    assert recipe["attention"]["blocks.0.attn"] == {
        "class": "timm.layers.attention.Attention",
        "heads_before": 3,
        "heads_kept": [0, 2],
        "forward": "timm",
        "attributes": {"num_heads": 2, "attn_dim": 32},
        "shapes": {"qkv.weight": [96, 48], "qkv.bias": [96], "proj.weight": [48, 32]},
    }
    assert recipe["attention"]["blocks.2.attn"]["heads_kept"] == []
    assert set(recipe["versions"]) == {"torch", "timm", "safetensors"}
    with safe_open(tmp_path / "pruned.safetensors", "pt") as file:
        assert file.metadata()["provenance"] == '{"seed": 1}'
        assert file.get_slice("blocks.0.attn.proj.weight").get_shape() == [48, 32]


def test_the_input_can_be_stated(tmp_path):
    architecture, arguments = arguments_of("vit")
    arguments["dynamic_img_size"] = True
    model = stirred(timm.create_model(architecture, **arguments))
    heads = {"blocks.0.attn": [1]}
    stated = {"input_size": (24, 40), "mean": (0.1, 0.2, 0.3), "std": (1, 2, 3)}
    write_pruned(
        tmp_path, model, prune_heads(model, heads), architecture, arguments, heads, "{}", **stated
    )
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    assert recipe["input"] == {"size": [3, 24, 40], "mean": [0.1, 0.2, 0.3], "std": [1, 2, 3]}


def test_training_after_pruning_is_kept(tmp_path):
    model = build("beit")
    heads = {"blocks.0.attn": [1]}
    pruned = prune_heads(model, heads)
    pruned.blocks[0].attn.qkv.weight.mul_(1.5)
    write_pruned(tmp_path, model, pruned, *arguments_of("beit"), heads, "{}")
    trained = run(pruned, noise("beit"))
    assert torch.allclose(run(load_pruned(tmp_path), noise("beit")), trained, atol=1e-6)
    assert not torch.allclose(run(prune_heads(model, heads), noise("beit")), trained, atol=1e-4)


def test_bfloat16_stays(tmp_path):
    model = build("swin v2").to(torch.bfloat16)
    heads = {"layers.0.blocks.0.attn": [1]}
    pruned = prune_heads(model, heads)
    write_pruned(tmp_path, model, pruned, *arguments_of("swin v2"), heads, "{}")
    again, pixels = load_pruned(tmp_path), noise("swin v2").to(torch.bfloat16)
    assert {value.dtype for value in again.parameters()} == {torch.bfloat16}
    assert torch.equal(run(again, pixels), run(pruned, pixels))


def test_the_bundled_model_at_another_size(tmp_path):
    model = bundled.load_backbone(238)[0].eval().requires_grad_(False)
    heads = {"blocks.3.attn": [5], "blocks.11.attn": range(6)}
    pruned = prune_heads(model, heads)
    write_pruned(
        tmp_path, model, pruned, bundled.ARCHITECTURE, {"img_size": 238}, heads, '{"a": 1}'
    )
    pixels = torch.randn(1, 3, 238, 238, generator=torch.Generator().manual_seed(0))
    again = load_pruned(tmp_path)
    assert torch.allclose(run(again, pixels), run(pruned, pixels), atol=1e-6, rtol=0)
    assert json.loads((tmp_path / "recipe.json").read_text())["input"]["size"] == [3, 238, 238]


@pytest.mark.parametrize(
    ("architecture", "change"),
    [
        ("vit_small_patch14_dinov2", {}),
        ("vit_tiny_patch16_224", {"depth": 2}),
        ("vit_tiny_patch16_224", {"global_pool": "max"}),
        ("vit_tiny_patch16_224", {"act_layer": "relu"}),  # the same names and shapes
        ("vit_tiny_patch16_224", {"no_such_thing": 1}),
        ("no_such_vit", {}),
    ],
)
def test_arguments_that_build_another_model_are_refused(architecture, change, tmp_path):
    model = build("vit")
    heads = {"blocks.0.attn": [1]}
    arguments = {**arguments_of("vit")[1], **change}
    with pytest.raises(ValueError, match=f"build this model; got '{architecture}'.*created with"):
        write_pruned(
            tmp_path / "out",
            model,
            prune_heads(model, heads),
            architecture,
            arguments,
            heads,
            "{}",
        )
    assert not (tmp_path / "out").exists()


def test_arguments_that_are_not_json_are_refused(tmp_path):
    model = build("vit")
    arguments = {**arguments_of("vit")[1], "norm_layer": torch.nn.LayerNorm}
    heads = {"blocks.0.attn": [1]}
    with pytest.raises(ValueError, match="build arguments that JSON can hold"):
        write_pruned(
            tmp_path,
            model,
            prune_heads(model, heads),
            "vit_tiny_patch16_224",
            arguments,
            heads,
            "{}",
        )


@pytest.mark.parametrize("name", ["pruned.safetensors", "recipe.json"])
def test_missing_and_damaged_files_are_named(name, tmp_path):
    written("vit", tmp_path)
    (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"does not build the model of.*a file is damaged"):
        load_pruned(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        load_pruned(tmp_path)
