"""A small record like that of a ViT-S, and services on a temporary folder without a model."""

import threading
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from analytics.io.fitting import place
from analytics.io.images import Limits
from analytics.jobs.queue import JobQueue
from analytics.serve.cache import BoundedCache, RecordCache
from analytics.serve.routes import routes
from analytics.serve.signer import Signer
from analytics.serve.state import Services, Settings
from analytics.store.pictures import PictureStore
from analytics.store.provenance import make_provenance
from analytics.store.results import ResultStore
from analytics.types import PatchGrid, Picture, TokenLayout

WEIGHTS = "b" * 64


@dataclass(frozen=True)
class FakeLayer:
    label: str
    name: str
    num_heads: int
    query_layout: TokenLayout
    key_layout: TokenLayout
    notes: tuple[str, ...] = ()

    @property
    def visible_keys(self) -> int:
        return self.key_layout.num_tokens


@dataclass(frozen=True)
class FakeRecord:
    """Attention that is a fixed random function of the query."""

    id: str
    picture: Picture
    placement: object
    base_layout: TokenLayout
    layers: tuple
    provenance: object
    model_label: str = "A small model"
    caution: str = "Made up for a test."
    nbytes: int = 1000
    token_norms: tuple = ()
    pca: tuple = ()
    missing: tuple = field(default=())
    off: object = None

    def rows(self, token, direction):
        if direction not in ("to", "from"):
            raise ValueError("direction")
        index = self.base_layout.index(token)
        found = []
        for number, layer in enumerate(self.layers):
            layout = layer.key_layout if direction == "to" else layer.query_layout
            rng = np.random.default_rng([index, number, direction == "to"])
            row = rng.gamma(0.4, size=(layer.num_heads, layout.num_tokens)).astype(np.float32)
            row /= row.sum(axis=1, keepdims=True)
            if number in self.missing:
                row[:] = np.nan
            found.append(row)
        return found


def make_record(shapes, prefix=("cls",), identifier="record-1", **more):
    """A record with layers of (heads, rows, columns); the first grid is the base."""
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    layouts = [TokenLayout(prefix, PatchGrid(rows, columns)) for _, rows, columns in shapes]
    layers = tuple(
        FakeLayer(f"L{i}", f"blocks.{i}.attn", heads, layout, layout)
        for i, ((heads, _, _), layout) in enumerate(zip(shapes, layouts, strict=True))
    )
    rng = np.random.default_rng(1)
    return FakeRecord(
        id=identifier,
        picture=Picture("holiday & co.png", "a" * 64, pixels),
        placement=place(90, 120, "crop", 224, 224),
        base_layout=layouts[0],
        layers=layers,
        provenance=make_provenance(
            "test", "bundled", WEIGHTS, {"holiday & co.png": "a" * 64}, {"fit": "crop"}
        ),
        token_norms=tuple(rng.random(one.num_tokens, np.float32) for one in layouts),
        pca=tuple(
            rng.integers(0, 256, (one.grid.rows, one.grid.columns, 3), np.uint8) for one in layouts
        ),
        **more,
    )


class NoModels:
    def held(self):
        return (SimpleNamespace(label="bundled"),)


@pytest.fixture(scope="session")
def record():
    return make_record([(6, 16, 16)] * 12)


@pytest.fixture(scope="session")
def swin():
    return make_record(
        [(3, 16, 16), (6, 8, 8), (12, 4, 4), (24, 2, 2)], (), "record-2", missing=(3,)
    )


@pytest.fixture
def here(tmp_path, record):
    made = Services(
        data_dir=tmp_path,
        settings=Settings(hosts=("atlas.example",)),
        pictures=PictureStore(tmp_path / "pictures", limits=Limits(max_bytes=20_000)),
        models=NoModels(),
        records=RecordCache(10_000),
        jobs=JobQueue(tmp_path / "jobs"),
        signer=Signer(b"s" * 32),
        encoded=BoundedCache(100_000),
        importance=ResultStore(tmp_path / "importance"),
        importances=BoundedCache(100_000),
        profile=ResultStore(tmp_path / "profile"),
        profiles=BoundedCache(1_000_000),
        patterns=ResultStore(tmp_path / "patterns"),
        pattern_maps=ResultStore(tmp_path / "pattern-maps"),
        atlases=BoundedCache(4_000_000),
        flows=BoundedCache(1_000_000),
        binding=ResultStore(tmp_path / "binding"),
        binding_features=ResultStore(tmp_path / "binding-features"),
        bindings=BoundedCache(1_000_000),
        bounds=BoundedCache(4_000_000),
        discovery=ResultStore(tmp_path / "discovery"),
        ablations=ResultStore(tmp_path / "ablations"),
        views=BoundedCache(4_000_000),
        decoding=threading.BoundedSemaphore(2),
    )
    made.records.put(record)
    yield made
    made.close()


@pytest.fixture
def client(here):
    app = Starlette(routes=routes(lambda: here))
    return TestClient(app, base_url="http://localhost:8501", raise_server_exceptions=False)


@pytest.fixture
def address(here, record):
    return f"/atlas/lens/{here.signer.sign(record.id)}"


@pytest.fixture
def other(record):
    """The same record under another id."""
    return lambda identifier, **more: replace(record, id=identifier, **more)
