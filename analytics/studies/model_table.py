"""The table of checked models: which names stand for their families, and how it is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analytics.studies.model_check import CHECKS, ModelCheck

_NAMES = """
test_vit test_vit2 test_vit3 test_vit4 flexivit_small
vit_tiny_patch16_224 vit_small_patch16_224 vit_small_patch32_224 vit_base_patch16_224
vit_base_patch32_224 vit_small_patch8_224 vit_base_patch16_rpn_224 vit_base_patch16_gap_224
vit_small_patch16_18x2_224 vit_medium_patch16_gap_240 vit_medium_patch16_reg1_gap_256
vit_medium_patch16_reg4_gap_256 vit_betwixt_patch16_reg4_gap_256 vit_wee_patch16_reg1_gap_256
vit_pwee_patch16_reg1_gap_256 vit_dwee_patch16_reg1_gap_256 vit_so150m_patch16_reg4_map_256
vit_so150m2_patch16_reg1_gap_256 vit_small_patch14_dinov2 vit_small_patch14_reg4_dinov2
vit_base_patch14_reg1_tipsv2 vit_base_patch16_clip_224 vit_base_patch32_clip_quickgelu_224
vit_large_patch14_clip_224 vit_xsmall_patch16_clip_224 vit_base_patch16_siglip_224
vit_base_patch16_siglip_gap_224 vit_so400m_patch14_siglip_224 vit_base_patch16_radio_v3
aimv2_large_patch14_224 beit3_base_patch16_224 eva_large_patch14_196 vit_intern300m_patch14_448
deit_tiny_patch16_224 deit_tiny_distilled_patch16_224 deit_base_distilled_patch16_224
deit3_small_patch16_224 deit3_base_patch16_224
beit_base_patch16_224 beitv2_base_patch16_224 beit_large_patch16_224
eva02_tiny_patch14_224 eva02_base_patch14_224 eva02_base_patch16_clip_224
eva02_large_patch14_clip_224 eva_giant_patch14_224 vit_small_patch16_dinov3
vit_base_patch16_dinov3 vit_small_plus_patch16_dinov3 vit_tiny_patch16_dinov3_qkvb
vit_small_patch16_lingbot vit_small_patch16_rope_224 vit_small_patch16_rope_ape_224
vit_small_patch16_rope_mixed_224 vit_base_patch16_rope_reg1_gap_256
vit_pe_core_tiny_patch16_384 vit_pe_core_base_patch16_224 vit_pe_spatial_tiny_patch16_512
naflexvit_base_patch16_gap naflexvit_base_patch16_map naflexvit_base_patch16_siglip
vit_base_r50_s16_224 vit_small_r26_s32_224 vit_tiny_r_s16_p8_224 vit_base_mci_224
test_vit_relpos vit_relpos_small_patch16_224 vit_relpos_medium_patch16_cls_224
vit_relpos_base_patch16_clsgap_224 vit_srelpos_small_patch16_224
samvit_base_patch16_224 vitamin_small_224 vitamin_base_224
swin_tiny_patch4_window7_224 swin_s3_tiny_224 swin_base_patch4_window7_224
swinv2_tiny_window8_256 swinv2_tiny_window16_256 swinv2_base_window12_192
swinv2_cr_tiny_224 swinv2_cr_small_ns_224
maxvit_tiny_rw_224 maxvit_nano_rw_256 maxvit_tiny_tf_224 maxxvit_rmlp_nano_rw_256
coatnet_0_rw_224 coatnet_nano_rw_224 coatnet_rmlp_nano_rw_224
twins_pcpvt_small twins_svt_small pvt_v2_b0 pvt_v2_b1 pit_ti_224 pit_ti_distilled_224
gcvit_xxtiny tiny_vit_5m_224 visformer_tiny levit_128s levit_conv_128s
crossvit_tiny_240 crossvit_9_dagger_240 convit_tiny volo_d1_224 tnt_s_patch16_224
caformer_s18 nextvit_small fastvit_sa12 lowformer_b0 cpubone_b0_bfrobust iformer_s
efficientformer_l1 efficientformerv2_s0 shvit_s1 efficientvit_m0 mobilevit_xxs
mobilenetv5_base botnet26t_256 hiera_tiny_224 nest_tiny_jx mvitv2_tiny mvitv2_small_cls
davit_tiny cait_xxs24_224 xcit_nano_12_p16_224 edgenext_xx_small coat_tiny halonet26t
mobilevitv2_050 efficientvit_b0 poolformer_s12 swiftformer_xs resnet50
"""


def table_names() -> list[str]:
    """The names checked by default: every family of timm that attends, in several variants."""
    return _NAMES.split()


def markdown(results: Sequence[ModelCheck], versions: str) -> str:
    """The table as a page of documentation.

    Args:
        results: from `check_models`.
        versions: what it was made with, in words.
    """
    attending = [one for one in results if not one.refused]
    working = [one for one in attending if one.works]
    failed = Counter(failure.split(":")[0] for one in results for failure in one.failed)
    share = 100 * len(working) / max(1, len(attending))
    lines = [
        "# Models",
        "",
        "Made by `attention-atlas models --check > docs/models.md`; do not edit by hand.",
        f"Made with {versions}.",
        "",
        "Every name was built with random weights in float64, cut to few blocks where its family",
        "allows, and checked on noise. The checks are:",
        "",
        "- **no-op**: watching a forward pass changes no bit of its output",
        "- **explicit**: captured attention times the values is the head output, rows sum to 1,",
        "  and the model gives the same output with explicit attention",
        "- **per image**: gates that differ within a batch act as on each image alone",
        "- **gradient**: a gate's gradient is the sum of the head output times its gradient",
        "- **ablation**: a head gated to 0 equals zeroing its columns of the next projection",
        "",
        f"{len(results)} names: {len(attending)} have attention between tokens and "
        f"{len(working)} of them ({share:.0f} %) pass all {len(CHECKS)} checks; "
        f"{len(results) - len(attending)} are refused."
        + "".join(f" Failed {check}: {count}." for check, count in sorted(failed.items())),
        "",
        "*Calls drawn* counts the attention calls whose tokens have a known place in the picture;",
        "the others can be gated but not drawn, and the app says so. *Gates only* means that",
        "every check passes but no patch's attention can be drawn: the lens refuses the model.",
        "",
        "| name | family | heads | calls drawn | verdict | notes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join(lines + [_row(one) for one in results]) + "\n"


def _row(one: ModelCheck) -> str:
    verdict = "works" if one.works else "fails"
    if one.refused:
        verdict = "refused"
    elif one.works and one.undrawable:
        verdict = "gates only"
    said = [one.refused.split(". ")[0], one.undrawable, *one.failed, *one.notes]
    notes = "; ".join(dict.fromkeys(filter(None, said)))
    drawn = f"{one.placed} of {one.sites}" if one.sites else ""
    return f"| `{one.name}` | {one.family} | {one.heads} | {drawn} | {verdict} | {notes} |"
