"""What one server process holds: pictures, models, records, jobs and the signing secret."""

from __future__ import annotations

import functools
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics.jobs.queue import JobQueue
from analytics.serve.cache import BoundedCache, RecordCache
from analytics.serve.signer import Signer, read_secret
from analytics.store.pictures import PictureStore
from analytics.store.results import ResultStore

if TYPE_CHECKING:
    from analytics.models.pool import ModelPool
    from analytics.serve.binding_work import BoundPicture
    from analytics.serve.patterns_work import HeldAtlas
    from analytics.studies.binding_record import Binding
    from analytics.studies.flow_record import Flow
    from analytics.studies.importance_record import Importance
    from analytics.studies.profile_record import Profile

MEBIBYTE = 2**20
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Settings:
    """What the person who starts the server decides.

    `roots` are folders on the server whose pictures users may open; `hosts` are names the
    server answers to besides localhost; `device` is `auto`, `cpu`, `cuda` or `cuda:1`.
    """

    roots: tuple[Path, ...] = ()
    hosts: tuple[str, ...] = ()
    device: str = "auto"
    record_bytes: int = 1024 * MEBIBYTE
    picture_cache_bytes: int = 64 * MEBIBYTE
    study_cache_bytes: int = 64 * MEBIBYTE


@dataclass(frozen=True)
class Services:
    """The parts that routes and pages share; one object for each process.

    `decoding` bounds how many pictures are decoded at a time: one can take 300 MB.
    `encoded` holds pictures as the browser gets them, (bytes, media type). `importance` keeps
    results on disk and `importances` those in use, by key and number of parts; `profile` and
    `profiles`, `patterns` and `atlases`, `binding` and
    `bindings` likewise. `flows` and `bounds` are held in memory alone, by id, and `views`, by
    the key of the job that made them.
    """

    data_dir: Path
    settings: Settings
    pictures: PictureStore
    models: ModelPool
    records: RecordCache
    jobs: JobQueue
    signer: Signer
    encoded: BoundedCache[tuple[bytes, str]]
    importance: ResultStore
    importances: BoundedCache[Importance]
    profile: ResultStore
    profiles: BoundedCache[Profile]
    patterns: ResultStore
    pattern_maps: ResultStore
    atlases: BoundedCache[HeldAtlas]
    flows: BoundedCache[Flow]
    binding: ResultStore
    binding_features: ResultStore
    bindings: BoundedCache[Binding]
    bounds: BoundedCache[BoundPicture]
    discovery: ResultStore
    ablations: ResultStore
    views: BoundedCache[Any]
    decoding: threading.BoundedSemaphore

    def close(self) -> None:
        """Stop the jobs and wait for them; call when the server stops."""
        self.jobs.close()


def make_services(data_dir: Path, settings: Settings | None = None) -> Services:
    """Open the data folder and build everything on it.

    Args:
        data_dir: made when missing, readable by its owner only.
        settings: None for the defaults.

    Raises:
        ValueError: the folder cannot be used.
    """
    from analytics.models.pool import ModelPool
    from analytics.serve import (
        ablation_work,
        annotated_work,
        attending_work,
        binding_work,
        finding_work,
        flow_work,
        importance_work,
        patterns_work,
        profile_work,
        search_work,
        subspace_work,
        twins_work,
    )
    from analytics.serve.view_work import view_work
    from analytics.serve.work import attend_work

    chosen = settings or Settings()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        signer = Signer(read_secret(data_dir / "secret"))
        pictures = PictureStore(data_dir / "pictures")
        jobs = JobQueue(data_dir / "jobs")
    except OSError as error:
        raise ValueError(
            f"expected a data folder that can be written, {data_dir} cannot ({error.strerror}); "
            "set ATTENTION_ATLAS_DATA to another"
        ) from error
    made = Services(
        data_dir=data_dir,
        settings=chosen,
        pictures=pictures,
        models=ModelPool(),
        records=RecordCache(chosen.record_bytes),
        jobs=jobs,
        signer=signer,
        encoded=BoundedCache(chosen.picture_cache_bytes),
        importance=ResultStore(data_dir / "importance"),
        importances=BoundedCache(chosen.study_cache_bytes),
        profile=ResultStore(data_dir / "profile"),
        profiles=BoundedCache(chosen.study_cache_bytes),
        patterns=ResultStore(data_dir / "patterns"),
        pattern_maps=ResultStore(data_dir / "pattern-maps"),
        atlases=BoundedCache(chosen.study_cache_bytes),
        flows=BoundedCache(chosen.study_cache_bytes),
        binding=ResultStore(data_dir / "binding"),
        binding_features=ResultStore(data_dir / "binding-features"),
        bindings=BoundedCache(chosen.study_cache_bytes),
        bounds=BoundedCache(chosen.study_cache_bytes),
        discovery=ResultStore(data_dir / "discovery"),
        ablations=ResultStore(data_dir / "ablations"),
        views=BoundedCache(chosen.study_cache_bytes),
        decoding=threading.BoundedSemaphore(2),
    )
    jobs.register("attend", attend_work(made))
    jobs.register("importance", importance_work.importance_work(made))
    jobs.register("curves", importance_work.curves_work(made))
    jobs.register("partial", importance_work.partial_work(made))
    jobs.register("prune", importance_work.prune_work(made))
    jobs.register("iterate", importance_work.iterate_work(made))
    jobs.register("search", search_work.search_work(made))
    jobs.register("profile", profile_work.profile_work(made))
    jobs.register("flow", flow_work.flow_work(made))
    jobs.register("patterns", patterns_work.patterns_work(made))
    jobs.register("binding", binding_work.binding_work(made))
    jobs.register("bound", binding_work.bound_work(made))
    for kind, make in {
        "ablation": ablation_work.make_ablation,
        "annotated": annotated_work.make_annotated,
        "edited": ablation_work.make_edited,
        "finding": finding_work.make_finding,
        "finding-scenes": finding_work.make_finding_scenes,
        "scene-link": attending_work.make_scene_link,
        "picture-link": attending_work.make_picture_link,
        "subspace": subspace_work.make_subspace,
        "twins": twins_work.twins_maker(),
    }.items():
        jobs.register(kind, view_work(made, make))
    return made


def services() -> Services:
    """The services of this process, built at the first call from the environment.

    This is the one process-wide object: models and records are shared by all users, so
    they must exist once. Environment: `ATTENTION_ATLAS_DATA` (folder),
    `ATTENTION_ATLAS_ROOTS` (folders, separated as in PATH), `ATTENTION_ATLAS_HOSTS`
    (names, separated by commas), `ATTENTION_ATLAS_DEVICE`.

    Raises:
        ValueError: the data folder cannot be used.
    """
    with _ONE_AT_A_TIME:
        return _from_environment()


@functools.cache
def _from_environment() -> Services:
    return make_services(default_data_dir(), environment_settings())


def default_data_dir() -> Path:
    """`ATTENTION_ATLAS_DATA`, or `attention-atlas` in the user's data folder."""
    named = os.environ.get("ATTENTION_ATLAS_DATA")
    if named:
        return Path(named).expanduser().resolve()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "attention-atlas"


def environment_settings() -> Settings:
    """Settings as the environment states them."""
    roots = os.environ.get("ATTENTION_ATLAS_ROOTS", "").split(os.pathsep)
    hosts = os.environ.get("ATTENTION_ATLAS_HOSTS", "").split(",")
    return Settings(
        roots=tuple(Path(root).expanduser() for root in roots if root.strip()),
        hosts=tuple(host.strip() for host in hosts if host.strip()),
        device=os.environ.get("ATTENTION_ATLAS_DEVICE", "auto"),
    )
