"""Local checkpoints: containers, prefixes, other libraries' names, and files to refuse."""

import os
import pickle

import pytest
import timm
import torch
from safetensors.torch import save_file

from analytics.models import load_model, parse_model
from analytics.models.checkpoints import best_prefix, fit, read_tensors

NAME = "test_vit"


@pytest.fixture(scope="module")
def trained():
    """A module that stands for a trained one, with weights unlike the default draw."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return timm.create_model(NAME).eval()


@pytest.fixture(scope="module")
def picture():
    return torch.linspace(-1, 1, 3 * 160 * 160).reshape(1, 3, 160, 160)


def _load(path, name=NAME, size=None):
    return load_model(parse_model(name, path), size)


def _same(loaded, module, picture):
    with torch.no_grad():
        return torch.equal(loaded.module(picture), module(picture))


def _prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


def test_safetensors_are_loaded_whole(trained, picture, tmp_path):
    save_file(trained.state_dict(), tmp_path / "own.safetensors")
    loaded = _load(tmp_path / "own.safetensors")
    assert _same(loaded, trained, picture)
    assert loaded.label == "test_vit from own.safetensors"
    assert loaded.caution == ""
    assert loaded.report.missing == loaded.report.unexpected == loaded.report.mismatched == ()


@pytest.mark.parametrize("suffix", ["pth", "pt", "bin"])
@pytest.mark.parametrize("key", ["state_dict", "model", "teacher", "student", "model_ema"])
def test_pickled_containers_are_unwrapped(trained, picture, tmp_path, suffix, key):
    path = tmp_path / f"own.{suffix}"
    torch.save({key: trained.state_dict(), "epoch": 3, "name": "run"}, path)
    assert _same(_load(path), trained, picture)


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "model.",
        "backbone.",
        "teacher.backbone.",
        "encoder.",
        "_orig_mod.",
        "module.a.b.",
    ],
)
def test_prefixes_are_found(trained, picture, tmp_path, prefix):
    path = tmp_path / "own.pth"
    torch.save({"state_dict": _prefixed(trained.state_dict(), prefix)}, path)
    loaded = _load(path)
    assert _same(loaded, trained, picture)
    assert (f"state_dict.{prefix}cls_token", "cls_token") in loaded.report.renamed


def test_the_teacher_goes_before_the_student(trained, picture, tmp_path):
    student = {name: tensor + 1 for name, tensor in trained.state_dict().items()}
    path = tmp_path / "own.pth"
    torch.save(
        {
            "student": _prefixed(student, "module.backbone."),
            "teacher": _prefixed(trained.state_dict(), "backbone."),
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}},
        },
        path,
    )
    assert _same(_load(path), trained, picture)


def test_best_prefix_known_answers():
    wanted = ["cls_token", "blocks.0.norm1.weight"]
    assert best_prefix(wanted, wanted) == ""
    assert best_prefix([f"teacher.backbone.{name}" for name in wanted], wanted) == (
        "teacher.backbone."
    )
    assert best_prefix(["layer1.weight"], wanted) == ""


def test_positions_are_resampled_for_another_size(trained, tmp_path):
    save_file(trained.state_dict(), tmp_path / "own.safetensors")
    small, large = (
        _load(tmp_path / "own.safetensors"),
        _load(tmp_path / "own.safetensors", size=224),
    )
    assert large.module.pos_embed.shape[1] == 14 * 14 + small.module.num_prefix_tokens
    assert large.weights_sha256 == small.weights_sha256


def _transformers_names(state, root, layer_norms, scales):
    """A timm ViT's tensors as transformers would name them."""
    out = {}
    fixed = {
        "cls_token": "embeddings.cls_token",
        "reg_token": "embeddings.register_tokens",
        "pos_embed": "embeddings.position_embeddings",
        "patch_embed.proj": "embeddings.patch_embeddings.projection",
        "norm": "layernorm",
    }
    inner = {
        "norm1": layer_norms[0],
        "norm2": layer_norms[1],
        "attn.proj": "attention.output.dense",
        "mlp.fc1": "mlp.fc1" if scales else "intermediate.dense",
        "mlp.fc2": "mlp.fc2" if scales else "output.dense",
    }
    for name, tensor in state.items():
        stem, _, kind = name.rpartition(".")
        if name in fixed:
            out[root + fixed[name]] = tensor
        elif stem in fixed:
            out[f"{root}{fixed[stem]}.{kind}"] = tensor
        elif stem == "head":
            out[f"classifier.{kind}"] = tensor
        else:
            _, layer, part = stem.split(".", 2)
            at = f"{root}encoder.layer.{layer}."
            if part == "attn.qkv":
                for third, value in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                    out[f"{at}attention.attention.{third}.{kind}"] = value
            elif part in ("ls1", "ls2"):
                out[f"{at}layer_scale{part[-1]}.lambda1"] = tensor
            else:
                out[f"{at}{inner[part]}.{kind}"] = tensor
    return out


@pytest.mark.parametrize("root", ["", "vit.", "deit.", "model.vit."])
def test_vit_names_of_transformers_are_mapped(picture, root):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        source = timm.create_model("vit_tiny_patch16_224", img_size=160, depth=2).eval()
    named = _transformers_names(
        source.state_dict(), root, ("layernorm_before", "layernorm_after"), scales=False
    )
    target = timm.create_model("vit_tiny_patch16_224", img_size=160, depth=2).eval()
    report = fit(target, {k: v.contiguous() for k, v in named.items()}, "vit_tiny_patch16_224")
    assert report.missing == report.unexpected == report.mismatched == ()
    assert torch.equal(target(picture), source(picture))


@pytest.mark.parametrize("root", ["", "dinov2."])
def test_dinov2_names_of_transformers_are_mapped(root):
    arguments = {"img_size": 112, "depth": 2}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        source = timm.create_model("vit_small_patch14_dinov2", **arguments).eval()
    named = _transformers_names(source.state_dict(), root, ("norm1", "norm2"), scales=True)
    named[f"{root}embeddings.mask_token"] = torch.zeros(1, 384)
    target = timm.create_model("vit_small_patch14_dinov2", **arguments).eval()
    report = fit(target, named, "vit_small_patch14_dinov2")
    assert report.missing == report.unexpected == report.mismatched == ()
    picture = torch.ones(1, 3, 112, 112)
    assert torch.equal(target(picture), source(picture))


def test_dinov2_with_registers_folds_the_cls_position():
    arguments = {"img_size": 112, "depth": 1}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        source = timm.create_model("vit_small_patch14_reg4_dinov2", **arguments).eval()
    state = source.state_dict()
    position = torch.full((1, 1, 384), 0.25)
    state["cls_token"] = state["cls_token"] - position
    state["pos_embed"] = torch.cat([position, state["pos_embed"]], dim=1)
    named = _transformers_names(state, "", ("norm1", "norm2"), scales=True)
    target = timm.create_model("vit_small_patch14_reg4_dinov2", **arguments).eval()
    fit(target, named, "vit_small_patch14_reg4_dinov2")
    torch.testing.assert_close(target.cls_token, source.cls_token, atol=1e-6, rtol=0)
    assert torch.equal(target.pos_embed, source.pos_embed)
    assert torch.equal(target.reg_token, source.reg_token)


def test_a_head_of_other_size_is_reported_and_fine(tmp_path):
    with torch.random.fork_rng():
        other = timm.create_model(NAME, num_classes=5)
    save_file(other.state_dict(), tmp_path / "own.safetensors")
    loaded = _load(tmp_path / "own.safetensors")
    assert [name for name, _, _ in loaded.report.mismatched] == ["head.weight", "head.bias"]
    assert loaded.report.mismatched[1] == ("head.bias", (1000,), (5,))
    assert loaded.caution == ""
    assert "of another shape, left random: head.weight" in loaded.report.text()


def test_a_gap_in_the_trunk_is_part_of_the_caution(trained, tmp_path):
    state = trained.state_dict()
    del state["norm.bias"]
    state["decoder.weight"] = torch.zeros(2)
    save_file(state, tmp_path / "own.safetensors")
    caution = _load(tmp_path / "own.safetensors").caution
    assert "Not in the checkpoint, so random: norm.bias." in caution
    assert "In the checkpoint, but unused: decoder.weight." in caution


def test_a_checkpoint_of_another_family_is_refused(tmp_path):
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"(nothing in the file fits|fills only).*test_vit"):
        _load(tmp_path / "own.safetensors")


def test_a_checkpoint_of_another_width_is_refused(tmp_path):
    wide = timm.create_model(NAME, embed_dim=128)
    save_file(wide.state_dict(), tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"fills only 0% of test_vit.*expected.*got"):
        _load(tmp_path / "own.safetensors")


def test_a_deeper_checkpoint_is_refused(tmp_path):
    deep = timm.create_model(NAME, depth=12)
    save_file(deep.state_dict(), tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"parts that test_vit does not have: blocks\."):
        _load(tmp_path / "own.safetensors")


def test_a_shallower_checkpoint_is_refused(tmp_path):
    shallow = timm.create_model(NAME, depth=2)
    save_file(shallow.state_dict(), tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match="fills only"):
        _load(tmp_path / "own.safetensors")


def test_a_checkpoint_without_the_registers_is_refused():
    with torch.random.fork_rng():
        plain = timm.create_model("vit_small_patch14_dinov2", img_size=112, depth=12)
    target = timm.create_model("vit_small_patch14_reg4_dinov2", img_size=112, depth=12)
    with pytest.raises(ValueError, match=r"lacks.*reg_token"):
        fit(target, plain.state_dict(), "vit_small_patch14_reg4_dinov2")


class _Malicious:
    """Unpickled without care, it would make a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_holds_code_is_refused_and_not_run(trained, tmp_path, legacy):
    target, path = tmp_path / "ran", tmp_path / "own.pth"
    content = {"state_dict": trained.state_dict(), "extra": _Malicious(target)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=r"own\.pth holds code .*\(posix\.system\), refused"):
        _load(path)
    assert not target.exists()


def test_a_bare_pickle_that_holds_code_is_refused_and_not_run(tmp_path):
    target, path = tmp_path / "ran", tmp_path / "own.bin"
    path.write_bytes(pickle.dumps(_Malicious(target)))
    with pytest.raises(ValueError, match=r"own\.bin holds .*refused"):
        read_tensors(path)
    assert not target.exists()


@pytest.mark.parametrize("name", ["own.pth", "own.safetensors", "own.bin"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken", bytes(64)])
def test_damaged_files_are_refused_in_one_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name) as refusal:
        read_tensors(tmp_path / name)
    assert "\n" not in str(refusal.value)
    assert "weights_only" not in str(refusal.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"weights\.npz is no checkpoint"):
        read_tensors(tmp_path / "weights.npz")
    with pytest.raises(ValueError, match=r"no file weights\.pth"):
        read_tensors(tmp_path / "weights.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(ValueError, match=r"empty\.pth holds no tensors"):
        read_tensors(tmp_path / "empty.pth")
