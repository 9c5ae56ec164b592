"""One study: the data, models and results of a profile, from the store or computed now."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import pandas as pd
import xarray as xr

from nrp.analysis import Result
from nrp.analysis.baselines import POD, pod_reconstruction
from nrp.analysis.demonstrations import DEMONSTRATION, demonstrations
from nrp.analysis.forecast import CURVES, FORECAST, forecast, sweep_curves
from nrp.analysis.hysteresis import HYSTERESIS, hysteresis
from nrp.analysis.landscape import LANDSCAPE, landscape
from nrp.analysis.morphology import PATTERNS, patterns
from nrp.analysis.onset import ONSET, TRANSITION, onset, transition
from nrp.analysis.solver_checks import SOLVER, solver_checks
from nrp.reduction import ReducedModel, load_model, train
from nrp.reduction.training import LOG, TRAIN
from nrp.settings import InvalidSetting, ModelSettings, Settings, profile
from nrp.simulation import SIMULATE, open_dataset, simulate
from nrp.store import PROVENANCE, Step, Store, content_key

PUBLISHED = Path(__file__).resolve().parents[3] / "published"
"""Results that are too costly, or too much bound to a machine, to be computed live."""


class _Options(Settings):
    """What an analysis needs besides its inputs; most need nothing."""

    anisotropy: tuple[float, ...] = ()
    modes: tuple[int, ...] = ()
    box: float | None = None
    samples: int | None = None


class Study:
    """What a chapter asks for: ``study = Study("book")``, then datasets, models and results by name.

    Everything is taken from the store, or computed now and put there.

    Parameters
    ----------
    name
        The profile.
    store
        By default the one of this book.

    Raises
    ------
    InvalidSetting
        If there is no such profile.
    """

    datasets = ("films", "samples", "rates", "loops", "bead")
    models: ClassVar = {"film": "films", "film_again": "films", "bead": "bead"}
    """Each model with the dataset it is trained on; `film_again` differs from `film` in its seed."""

    def __init__(self, name: str = "book", store: Store | None = None) -> None:
        self.profile = profile(name)
        self.store = store or Store()
        self._loaded: dict[str, object] = {}

    def dataset(self, name: str) -> xr.Dataset:
        """Return the dataset `films`, `samples`, `rates`, `loops` or `bead`."""
        self._known(name, self.datasets)
        return self._once(
            f"data {name}", lambda: open_dataset(simulate(getattr(self.profile, name), self.store))
        )

    def model(self, name: str) -> ReducedModel:
        """Return the model `film`, `film_again` or `bead`, arm `paper`."""
        return self._once(f"model {name}", lambda: load_model(self._model_folder(name)))

    def training_log(self, name: str) -> pd.DataFrame:
        """Return the log of a model: one row per epoch."""
        return pd.read_csv(self._model_folder(name) / LOG)

    def result(self, name: str) -> Result:
        """Return the result of an analysis; `results` names them."""
        self._known(name, tuple(self._analyses))
        step, settings, inputs, compute = self._analyses[name]

        def load() -> Result:
            keys = tuple(self._key(entry) for entry in inputs)
            folder = self.store.get(step, settings, lambda path: compute().save(path), keys)
            return Result.load(folder, profile=self.profile.name, key=content_key(step, settings, keys))

        return self._once(f"result {name}", load)

    @property
    def results(self) -> tuple[str, ...]:
        """Names of all analyses."""
        return tuple(self._analyses)

    def published(self, name: str) -> tuple[Result, dict]:
        """Return a result that lies in the repository, and its provenance."""
        self._known(name, tuple(path.name for path in PUBLISHED.iterdir()))
        provenance = json.loads((PUBLISHED / name / PROVENANCE).read_text())
        return Result.load(PUBLISHED / name, key=provenance["key"]), provenance

    def stored_rows(self) -> list[dict]:
        """Return every row of the published results and of those of this profile that are stored."""
        rows = [
            row
            for path in PUBLISHED.iterdir()
            for row in self.published(path.name)[0].table.to_dict("records")
        ]
        for name, (step, settings, inputs, _) in self._analyses.items():
            key = content_key(step, settings, tuple(self._key(entry) for entry in inputs))
            if (self.store.folder(step, key) / PROVENANCE).is_file():
                rows += self.result(name).table.to_dict(orient="records")
        return rows

    def keys(self) -> set[str]:
        """Return the keys of everything that this profile can ask for."""
        keys = {self._key(name) for name in (*self.datasets, *map("model {}".format, self.models))}
        for step, settings, inputs, _ in self._analyses.values():
            keys.add(content_key(step, settings, tuple(self._key(entry) for entry in inputs)))
        return keys

    def _model_folder(self, name: str) -> Path:
        self._known(name, tuple(self.models))
        return train(self.dataset(self.models[name]), self._model_settings(name), self.store)

    def _model_settings(self, name: str) -> ModelSettings:
        if name == "film_again":
            first = self.profile.film_model
            return first.replace(member=first.member + 1)
        return getattr(self.profile, f"{name}_model")

    def _key(self, name: str) -> str:
        """Return the key of a dataset, or of a model by the name ``model film``."""
        if name in self.datasets:
            return content_key(SIMULATE, getattr(self.profile, name))
        model = name.removeprefix("model ")
        return content_key(TRAIN, self._model_settings(model), (self._key(self.models[model]),))

    @cached_property
    def _analyses(self) -> dict[str, tuple[Step, Settings, tuple[str, ...], Callable[[], Result]]]:
        """Each analysis: its step, its settings, what it reads, and the call that computes it."""
        data, model = self.dataset, self.model
        film = "model film"
        films = ("films", "samples", "rates")
        pair = self.profile.figure_anisotropy
        modes = tuple(sorted({1, 2, 4, 8, 16, 32, 64, 128, self.profile.film_model.latent}))
        nothing = _Options()
        solver = {
            "box": self.profile.solver_box,
            "samples": self.profile.solver_samples,
            "anisotropy": (1.0, 2.0, 4.0),
        }
        return {
            "solver": (SOLVER, _Options(**solver), (), lambda: solver_checks(**solver)),
            "hysteresis": (HYSTERESIS, nothing, ("loops",), lambda: hysteresis(data("loops"))),
            "landscape": (
                LANDSCAPE,
                nothing,
                ("model bead",),
                lambda: landscape(model("bead"), data("bead")),
            ),
            "bead_forecast": (
                FORECAST,
                nothing,
                ("model bead",),
                lambda: forecast(model("bead"), data("bead")),
            ),
            "patterns": (
                PATTERNS,
                nothing,
                ("films", "samples"),
                lambda: patterns(data("films"), data("samples")),
            ),
            "onset": (ONSET, nothing, ("films", "samples"), lambda: onset(data("films"), data("samples"))),
            "pod": (
                POD,
                _Options(modes=modes),
                (*films, film),
                lambda: pod_reconstruction(self.profile.film_model, *map(data, films), modes=modes),
            ),
            "forecast": (
                FORECAST,
                nothing,
                (*films, film),
                lambda: forecast(model("film"), *map(data, films)),
            ),
            "demonstrations": (
                DEMONSTRATION,
                nothing,
                ("films", film),
                lambda: demonstrations(model("film"), data("films")),
            ),
            "curves": (
                CURVES,
                _Options(anisotropy=pair),
                ("films", film),
                lambda: sweep_curves(model("film"), data("films"), pair),
            ),
            "transition": (
                TRANSITION,
                nothing,
                ("films", "samples", film, "model film_again"),
                lambda: transition(
                    data("films"),
                    [model("film"), model("film_again")],
                    self.result("patterns"),
                    self.result("onset"),
                ),
            ),
        }

    def _once(self, name: str, make: Callable[[], object]):
        if name not in self._loaded:
            self._loaded[name] = make()
        return self._loaded[name]

    @staticmethod
    def _known(name: str, names: tuple[str, ...]) -> None:
        if name not in names:
            raise InvalidSetting(f"name = {name!r}: must be one of {', '.join(names)}")
