"""Tables of a profile: known spreads, units worked out by hand, names that files can have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analytics.metrics.strength_catalogue import SCALARS
from analytics.studies.profile_tables import (
    AGNOSTICISM,
    per_image_table,
    profile_arrays,
    profile_table,
    spread_of,
    unit_factors,
    units_of,
)
from tests.made_profile import made_profile

NAN = float("nan")


@pytest.fixture(scope="module")
def record():
    return made_profile([(2, 6, 6), (3, 4, 5)], images=4, overflowed=[(1, 2)])


def with_values(record, table, values):
    return replace(record, scalars={**record.scalars, table: np.array(values, np.float32)})


def test_mean_and_standard_deviation_by_hand():
    made = made_profile([(3, 2, 2)], images=2)
    spread = spread_of(with_values(made, "nmi", [[1, 5, NAN], [3, NAN, NAN]]), "nmi")
    assert spread.mean == pytest.approx([2, 5, NAN], nan_ok=True)
    assert spread.std == pytest.approx([np.sqrt(2), NAN, NAN], nan_ok=True)
    assert spread.count.tolist() == [2, 1, 0]


def test_spread_equals_numpys_on_whole_tables(record):
    for table in SCALARS:
        spread, values = spread_of(record, table), record.scalars[table].astype(np.float64)
        assert spread.mean[:4] == pytest.approx(values.mean(axis=0)[:4])
        assert spread.std[:4] == pytest.approx(values.std(axis=0, ddof=1)[:4])
        assert np.isnan(spread.mean[4]) and spread.count[4] == 0


def test_agnosticism_has_no_spread(record):
    spread = spread_of(record, AGNOSTICISM.name)
    assert np.array_equal(spread.mean, record.content_agnosticism.astype(np.float64))
    assert np.isnan(spread.std).all() and spread.count.tolist() == [4] * 5


def test_an_unknown_table_names_those_there_are(record):
    with pytest.raises(ValueError, match="expected a table out of mean_distance:renormalised"):
        spread_of(record, "mean_distance")


def test_units_by_hand(record):
    layers = (
        replace(record.layers[0], patch_px=(14.0, 14.0), uniform_distance=4.0),
        replace(record.layers[1], patch_px=(8.0, 24.0), uniform_distance=NAN),
    )
    made = replace(record, layers=layers)
    assert unit_factors(made, "mean_distance", "patches").tolist() == [1] * 5
    assert unit_factors(made, "mean_distance", "pixels").tolist() == [14, 14, 16, 16, 16]
    uniform = unit_factors(made, "mean_distance", "uniform")
    assert uniform == pytest.approx([0.25, 0.25, NAN, NAN, NAN], nan_ok=True)
    assert unit_factors(made, "nmi", "0 to 1").tolist() == [1] * 5


def test_only_distances_have_other_units(record):
    assert units_of("mean_distance") == ("patches", "pixels", "uniform")
    assert units_of("offset_length") == ("patches", "pixels")
    assert units_of("hop_entropy") == ("nats",)
    with pytest.raises(ValueError, match="expected a unit of hop_entropy out of nats"):
        unit_factors(record, "hop_entropy", "pixels")


def test_the_table_has_a_row_for_every_head_metric_and_rule(record):
    frame = profile_table(record)
    assert list(frame.columns) == ["layer", "head", "metric", "cls_rule", "mean", "std", "n"]
    assert len(frame) == 5 * (len(SCALARS) + 1)
    [row] = frame.query(
        "layer == 1 and head == 0 and metric == 'mean_distance' and cls_rule == 'raw'"
    ).itertuples()
    values = record.scalars["mean_distance:raw"][:, 2].astype(np.float64)
    assert row.mean == pytest.approx(values.mean()) and row.n == 4
    assert row.std == pytest.approx(values.std(ddof=1))
    lost = frame.query("layer == 1 and head == 2 and metric == 'nmi'")
    assert lost["mean"].isna().all() and lost["n"].tolist() == [0]
    assert set(frame.query("metric == 'nmi'")["cls_rule"]) == {""}


def test_the_table_per_image_leaves_out_what_is_no_number(record):
    frame = per_image_table(record)
    assert len(frame) == 4 * 4 * len(SCALARS)  # the fifth head overflowed
    picked = frame.query("image == '2.png' and layer == 0 and head == 1 and metric == 'cls_mass'")
    assert picked["value"].tolist() == [record.scalars["cls_mass"][2, 1]]


def test_arrays_have_names_that_files_can_have(record):
    arrays = profile_arrays(record)
    assert not [name for name in arrays if set(name) & set(':/\\" ')]
    raw = record.scalars["mean_distance:raw"]
    assert np.array_equal(arrays["mean_distance_raw"], raw, equal_nan=True)
    assert np.array_equal(arrays["hop_mass_raw"], record.hop_mass["raw"], equal_nan=True)
    assert arrays["offset_map_L1"].shape == (3, 7, 9)
    assert arrays["heads"].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2]]
