"""One study: the data, models and results of a profile, from the store or computed now."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd
import xarray as xr

from nrp.analysis import Result
from nrp.analysis.baselines import POD, pod_reconstruction
from nrp.analysis.continuity import CONTINUITY, continuity
from nrp.analysis.controls import CONTROL, POWER, power, run_controls
from nrp.analysis.demonstrations import CLOCK, DEMONSTRATION, clock, demonstrations
from nrp.analysis.diagnostics import DIAGNOSTICS, DIMENSION, diagnostics, intrinsic_dimension
from nrp.analysis.droplets import DROPLETS, droplets
from nrp.analysis.exact_energy import EXACT_ENERGY, exact_energy
from nrp.analysis.forecast import CURVES, FORECAST, forecast, sweep_curves
from nrp.analysis.gradient_flow import GRADIENT_FLOW, gradient_flow
from nrp.analysis.hysteresis import HYSTERESIS, hysteresis
from nrp.analysis.landscape import LANDSCAPE, landscape
from nrp.analysis.members import LATENTS, MEMBERS, latent_dimensions, members
from nrp.analysis.morphology import FORMATION, PATTERNS, formation, patterns
from nrp.analysis.onset import ONSET, onset
from nrp.analysis.sensitivity import SENSITIVITY, sensitivity
from nrp.analysis.solver_checks import SOLVER, solver_checks
from nrp.analysis.transition import TRANSITION, transition
from nrp.reduction import ReducedModel, load_model, train_members
from nrp.reduction.training import LOG, TRAIN
from nrp.settings import ARMS, CampaignSettings, InvalidSetting, ModelSettings, Settings, profile
from nrp.simulation import SIMULATE, open_dataset, simulate
from nrp.store import PROVENANCE, Step, Store, content_key, copy_out

PUBLISHED = Path(__file__).resolve().parents[3] / "published"
"""Results that are too costly, or too much bound to a machine, to be computed live."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class _Options(Settings):
    """What an analysis needs besides its inputs, for the key of its result."""

    options: dict[str, Any]


class _Analysis(NamedTuple):
    """An analysis: its step, its function, the names of what that is given, and its options."""

    step: Step
    compute: Callable[..., Result]
    inputs: tuple[str, ...] = ()
    options: Mapping[str, Any] = _NOTHING

    @property
    def settings(self) -> _Options:
        return _Options(options=dict(self.options))


def _trained_on(name: str, arm: str) -> tuple[str, ...]:
    """Return the names of the datasets that a model is trained on."""
    if name in ("bead", "fine"):
        return (name,)
    return ("films", "rates") if arm == "identified" else ("films",)


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

    _films = (
        *("films", "samples", "rates", "held_rates", "steps", "holds", "quenches", "beyond", "beyond_rates"),
        *("fine", "loops", "bead"),
    )

    def __init__(self, name: str = "book", store: Store | None = None) -> None:
        self.profile = profile(name)
        self.store = store or Store()
        self.datasets = (*self._films, *self.profile.variants)
        """Names of all datasets."""
        self.models = {name: _trained_on(name, each.arm) for name, each in self.profile.models.items()}
        """Each model with the datasets it is trained on."""
        self._loaded: dict[str, object] = {}

    def dataset(self, name: str) -> xr.Dataset:
        """Return one of the `datasets`."""
        return self._once(f"data {name}", lambda: open_dataset(self._data_path(name)))

    def model(self, name: str, member: int = 0) -> ReducedModel:
        """Return one of the `models`, the member with that seed."""
        return self._once(f"model {name} {member}", lambda: load_model(self._model_folder(name, member)))

    def training_log(self, name: str) -> pd.DataFrame:
        """Return the log of a model: one row per epoch."""
        return pd.read_csv(self._model_folder(name) / LOG)

    def result(self, name: str) -> Result:
        """Return the result of an analysis; `results` names them."""
        self._known(name, self.results)
        analysis, key = self._analyses[name], self._key(f"result {name}")

        def compute(folder: Path) -> None:
            inputs = [self._input(each) for each in analysis.inputs]
            analysis.compute(*inputs, **analysis.options).save(folder)

        def load() -> Result:
            keys = tuple(self._key(each) for each in analysis.inputs)
            folder = self.store.get(analysis.step, analysis.settings, compute, keys)
            return Result.load(folder, profile=self.profile.name, key=key)

        return self._once(f"result {name}", load)

    @property
    def results(self) -> tuple[str, ...]:
        """Names of all analyses."""
        return tuple(self._analyses)

    def published(self, name: str) -> tuple[Result, dict]:
        """Return a result that lies in the repository, and its provenance."""
        self._known(name, tuple(path.name for path in PUBLISHED.iterdir()))
        provenance = json.loads((PUBLISHED / name / PROVENANCE).read_text())
        # What `publish` has written comes from the profile of that name; benchmarks belong to none.
        origin = {"profile": "paper"} if "step" in provenance else {}
        return Result.load(PUBLISHED / name, key=provenance["key"], **origin), provenance

    def stored_rows(self) -> list[dict]:
        """Return every row of the published results and of those of this profile that are stored."""
        rows = [
            row
            for path in PUBLISHED.iterdir()
            for row in self.published(path.name)[0].table.to_dict("records")
        ]
        for name, analysis in self._analyses.items():
            if (self.store.folder(analysis.step, self._key(f"result {name}")) / PROVENANCE).is_file():
                rows += self.result(name).table.to_dict(orient="records")
        return rows

    def publish(self) -> list[Path]:
        """Write what is published, and return the folders.

        That is the results over members, with the weights of the first member of each arm, over latent
        dimensions and variants of the film, of POD and of the exact energy, and of the controls.

        Raises
        ------
        InvalidSetting
            If the profile trains one member only, so that there is nothing to publish.
        """
        if self.profile.members == 1:
            raise InvalidSetting(f"profile = {self.profile.name!r}: trains one member; must train several")
        folders = []
        kinds = ("members_", "latents", "pod", "exact_energy", "transition_", "power", "sensitivity")
        for name in (name for name in self.results if name.startswith(kinds)):
            self.result(name)
            arm = name.removeprefix("members_")
            step = self._analyses[name].step
            copy_out(self.store.folder(step, self._key(f"result {name}")), PUBLISHED / arm)
            if arm in self.models:
                copy_out(self._model_folder(arm), PUBLISHED / arm / "model")
            folders.append(PUBLISHED / arm)
        return folders

    def keys(self) -> set[str]:
        """Return the keys of everything that this profile can ask for."""
        models = (f"model {name} {member}" for name in self.models for member in range(self._members(name)))
        controls = (f"control {i}" for i in range(len(self.profile.controls)))
        results = map("result {}".format, self.results)
        return {self._key(name) for name in (*self.datasets, *models, *controls, *results)}

    def _members(self, name: str) -> int:
        return 1 if name == "bead" or name.startswith("latent_") else self.profile.members

    def _data_path(self, name: str) -> Path:
        self._known(name, self.datasets)
        return simulate(self._campaign(name), self.store)

    def _campaign(self, name: str) -> CampaignSettings:
        return self.profile.variants[name] if name in self.profile.variants else getattr(self.profile, name)

    def _model_folder(self, name: str, member: int = 0) -> Path:
        self._known(name, tuple(self.models))
        folder = self.store.folder(TRAIN, self._key(f"model {name} {member}"))
        if (folder / PROVENANCE).is_file():
            return folder
        paths = [self._data_path(each) for each in self.models[name]]
        return train_members(paths, self._model_settings(name), self._members(name), self.store)[member]

    def _control_folder(self, number: int) -> Path:
        folder = self.store.folder(CONTROL, self._key(f"control {number}"))
        # All are run when the first is asked for, for they are run in parallel.
        return (
            folder
            if (folder / PROVENANCE).is_file()
            else run_controls(self.profile.controls, self.store)[number]
        )

    def _model_settings(self, name: str, member: int = 0) -> ModelSettings:
        return self.profile.models[name].replace(member=member)

    def _input(self, name: str) -> Any:
        """Return a dataset by its name, a member by ``model paper 0``, a result by ``result onset``.

        The result of a control is had by its number, ``control 0``, and what is published by
        ``published pod``.
        """
        kind, _, rest = name.partition(" ")
        if kind == "published":
            return self.published(rest)[0]
        if kind == "control":
            return Result.load(self._control_folder(int(rest)))
        if kind == "model":
            arm, member = rest.split()
            return self.model(arm, int(member))
        return self.result(rest) if kind == "result" else self.dataset(name)

    def _key(self, name: str) -> str:
        """Return the key of what `_input` returns."""
        kind, _, rest = name.partition(" ")
        if kind == "published":
            return self.published(rest)[1]["key"]
        if kind == "control":
            return content_key(CONTROL, self.profile.controls[int(rest)])
        if kind == "model":
            arm, member = rest.split()
            inputs = tuple(map(self._key, self.models[arm]))
            return content_key(TRAIN, self._model_settings(arm, int(member)), inputs)
        if kind == "result":
            analysis = self._analyses[rest]
            return content_key(analysis.step, analysis.settings, tuple(map(self._key, analysis.inputs)))
        return content_key(SIMULATE, self._campaign(name))

    @cached_property
    def _analyses(self) -> dict[str, _Analysis]:
        sweeps = ("films", "samples", "rates", "held_rates")
        films = (*sweeps, "steps", "holds", "quenches", "beyond", "beyond_rates")
        paper, variants = self.profile.models["paper"], tuple(self.profile.variants)
        modes = sorted({1, 2, 4, 8, 16, 32, 64, 128, paper.latent})
        alphas = {"alphas": self.profile.figure_anisotropy}
        solver = {"box": self.profile.solver_box, "samples": self.profile.solver_samples}
        analyses = {
            "solver": _Analysis(SOLVER, solver_checks, (), solver | {"anisotropy": (1.0, 2.0, 4.0)}),
            "hysteresis": _Analysis(HYSTERESIS, hysteresis, ("loops",)),
            "landscape": _Analysis(LANDSCAPE, landscape, ("model bead 0", "bead")),
            "bead_forecast": _Analysis(FORECAST, forecast, ("model bead 0", "bead")),
            "patterns": _Analysis(PATTERNS, patterns, ("films", "samples")),
            "formation": _Analysis(FORMATION, formation, ("films", "samples")),
            "sensitivity": _Analysis(SENSITIVITY, sensitivity, variants, {"names": variants}),
            "onset": _Analysis(ONSET, onset, ("films", "samples")),
            "droplets": _Analysis(DROPLETS, droplets, ("films", "result onset")),
            "dimension": _Analysis(DIMENSION, intrinsic_dimension, ("films",)),
            "pod": _Analysis(POD, pod_reconstruction, sweeps, {"settings": paper, "modes": tuple(modes)}),
            "demonstrations": _Analysis(DEMONSTRATION, demonstrations, ("model paper 0", "films")),
            "clock": _Analysis(CLOCK, clock, ("model identified 0", "films", "rates", "held_rates")),
            "curves": _Analysis(CURVES, sweep_curves, ("model paper 0", "films"), alphas),
            "power": _Analysis(
                POWER,
                power,
                tuple(f"control {i}" for i in range(len(self.profile.controls))),
                {"kinds": [(each.campaign.system.system, each.kind) for each in self.profile.controls]},
            ),
        }
        for arm in ARMS:
            rivals = [name for name in (arm, f"pod_{arm}", f"free_field_{arm}") if name in self.models]
            first, *others = (f"model {name} 0" for name in rivals)
            fields = (name for name in others if "free_field" in name)
            analyses |= {
                f"forecast_{arm}": _Analysis(FORECAST, forecast, (first, *others, *films)),
                f"diagnostics_{arm}": _Analysis(DIAGNOSTICS, diagnostics, (first, *films)),
                f"gradient_flow_{arm}": _Analysis(GRADIENT_FLOW, gradient_flow, (first, *fields, *films)),
            }
            all_members = (f"model {arm} {i}" for i in range(self.profile.members))
            onsets = ("films", "samples", "result patterns", "result onset")
            # Of the published members, whatever the profile: one training tells nothing of their scatter.
            members_read = f"published transition_{arm}"
            analyses[f"continuity_{arm}"] = _Analysis(CONTINUITY, continuity, (members_read,))
            analyses[f"transition_{arm}"] = _Analysis(TRANSITION, transition, (*onsets, *all_members))
            if self.profile.members > 1:
                all_of = (f"model {name} {i}" for name in rivals for i in range(self.profile.members))
                analyses[f"members_{arm}"] = _Analysis(MEMBERS, members, (*all_of, *films), alphas)
        if "fine" in self.models:
            inputs = (f"model fine {i}" for i in range(self.profile.members))
            analyses["exact_energy"] = _Analysis(EXACT_ENERGY, exact_energy, (*inputs, "fine"))
        if others := [name for name in self.models if name.startswith("latent_")]:
            inputs = (f"model {name} 0" for name in (*others, "paper"))
            analyses["latents"] = _Analysis(LATENTS, latent_dimensions, (*inputs, *sweeps))
        return analyses

    def _once(self, name: str, make: Callable[[], object]):
        if name not in self._loaded:
            self._loaded[name] = make()
        return self._loaded[name]

    @staticmethod
    def _known(name: str, names: tuple[str, ...]) -> None:
        if name not in names:
            raise InvalidSetting(f"name = {name!r}: must be one of {', '.join(names)}")
