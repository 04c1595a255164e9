"""Models held in memory, shared by every user of the process, under a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from analytics.models.registry import LoadedModel, load_model, parse_device
from analytics.models.specs import ModelSpec

GIBIBYTE = 1024**3
Loader = Callable[[ModelSpec, int | None, str, str], LoadedModel]


@dataclass(frozen=True)
class _Key:
    """What tells two loaded models apart; a changed checkpoint file is another model."""

    spec: ModelSpec
    input_size: int | None
    device: str
    dtype: str
    file_version: tuple[int, int] | None


class ModelPool:
    """The most recently used models; the least recently used leaves when the bound is passed.

    Safe to use from several threads: two that ask for the same model wait for one load,
    and other models load beside it. A failed load is reported to all who wait for it and
    is not remembered. A model that left the pool lives on for those who still hold it.
    """

    def __init__(
        self,
        max_models: int = 4,
        max_bytes: int = 6 * GIBIBYTE,
        load: Loader = load_model,
    ) -> None:
        """Bound the pool by count and by bytes of weights; the newest model always stays."""
        if max_models < 1:
            raise ValueError(f"a model pool holds at least 1 model; got max_models={max_models}")
        self._max_models = max_models
        self._max_bytes = max_bytes
        self._load = load
        self._lock = threading.Lock()
        self._models: OrderedDict[_Key, Future[LoadedModel]] = OrderedDict()

    def get(
        self,
        spec: ModelSpec,
        input_size: int | None = None,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> LoadedModel:
        """The loaded model, from memory or loaded now; see `load_model`.

        Raises:
            ValueError: as `load_model` does.
        """
        place = str(parse_device(device))
        key = _Key(spec, input_size, place, dtype, _file_version(spec))
        with self._lock:
            future = self._models.get(key)
            mine = future is None
            if future is None:
                future = self._models[key] = Future()
            self._models.move_to_end(key)
        if mine:
            self._fill(key, future)
        return future.result()

    def held(self) -> tuple[LoadedModel, ...]:
        """Models in memory, the least recently used first."""
        with self._lock:
            return tuple({id(loaded): loaded for loaded in self._finished().values()}.values())

    def _fill(self, key: _Key, future: Future[LoadedModel]) -> None:
        try:
            loaded = self._load(key.spec, key.input_size, key.device, key.dtype)
        except BaseException as error:  # those who wait must hear of it, whatever it is
            with self._lock:
                self._models.pop(key, None)
            future.set_exception(error)
            return
        with self._lock:
            future.set_result(self._shared(loaded))
            self._shrink(key)

    def _shared(self, loaded: LoadedModel) -> LoadedModel:
        """The same model where it is held under another key (size not given, or as native)."""
        wanted = _identity(loaded)
        for other in self._finished().values():
            if _identity(other) == wanted:
                return other
        return loaded

    def _shrink(self, keep: _Key) -> None:
        while True:
            finished = self._finished()
            distinct = {id(loaded): loaded for loaded in finished.values()}
            size = sum(loaded.nbytes for loaded in distinct.values())
            if len(distinct) <= self._max_models and size <= self._max_bytes:
                return
            oldest = next((key for key in finished if key != keep), None)
            if oldest is None:
                return
            del self._models[oldest]

    def _finished(self) -> dict[_Key, LoadedModel]:
        return {key: future.result() for key, future in self._models.items() if future.done()}


def _identity(loaded: LoadedModel) -> tuple[object, ...]:
    place = (loaded.input_size, loaded.device, loaded.dtype)
    return (loaded.spec, loaded.weights_sha256, *place)


def _file_version(spec: ModelSpec) -> tuple[int, int] | None:
    if spec.checkpoint is None or not spec.checkpoint.is_file():
        return None
    state = spec.checkpoint.stat()
    return state.st_mtime_ns, state.st_size
