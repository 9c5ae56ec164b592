"""One study: the data, models and results of a profile, from the store or computed now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pandas as pd
import xarray as xr

from nrp.analysis.registry import (
    Control,
    Dataset,
    Log,
    Model,
    Observed,
    Outcome,
    Published,
    Reference,
    Request,
    Single,
    requests,
)
from nrp.analysis.transition.controls import CONTROL, run_controls
from nrp.base import InvalidSetting, Settings
from nrp.evaluation import Observation, Result
from nrp.outputs import copy_out
from nrp.pipeline.parameters import overrides
from nrp.pipeline.profiles import profile
from nrp.pipeline.published import published, published_folder, published_names
from nrp.reduction import ModelSettings, ReducedModel, load_model, train_many
from nrp.reduction.checkpoint import LOG
from nrp.reduction.described import DESCRIBE, DESCRIBE_PERSISTENCE, described_films
from nrp.reduction.training import TRAIN
from nrp.simulation import SIMULATE, open_dataset, simulate
from nrp.store import Step, Store, content_key


class _Options(Settings):
    """The options of an analysis, for the key of its result."""

    options: dict[str, Any]


def _needed(request: Request) -> Iterator[Reference]:
    """Yield all that an analysis is given, one by one."""
    for need in request.needs.values():
        yield from need if isinstance(need, tuple) else (need,)


class Study:
    """The data, models and results that a chapter asks for: ``study = Study("book")``.

    Everything is taken from the store, or computed now and put there.  Any setting of a dataset or a model of
    the profile, and any option of an analysis, can be replaced: ``Study("book", films={"sweep_rate": 0.02},
    paper={"latent": 8})``.  Whatever depends on it is computed anew, all else comes from the store.

    A value of None changes nothing.  The store is by default the one of this book.

    Raises
    ------
    InvalidSetting
        If there is no such profile, dataset, model, result or setting, or a value is not allowed.
    """

    def __init__(
        self, name: str = "book", store: Store | None = None, **changes: dict[str, Any] | None
    ) -> None:
        self.profile, options = profile(name).changed(changes)
        self.is_changed = any(v is not None for each in changes.values() for v in (each or {}).values())
        """Whether any setting is not that of the profile."""
        self.store = store or Store()
        self._requests = requests(self.profile)
        self.datasets, self.models = tuple(self.profile.datasets), tuple(self.profile.models)
        """Names of all datasets, and of all models."""
        self.results = tuple(self._requests)
        """Names of all results."""
        for of, given in options.items():
            self._known(of, (*self.datasets, *self.models, *self.results))
            self._requests[of] = self._requests[of].replaced(given)
        self._loaded: dict[Any, Any] = {}

    @classmethod
    def of(cls, name: str, store: Store | None = None, **parameters: Any) -> Self:
        """Return a study with some parameters of the chapters; None leaves one as it is in the profile.

        See `nrp.pipeline.parameters.PARAMETERS`.
        """
        study = cls(name, store, **overrides(**parameters))
        study.is_changed = any(value is not None for value in parameters.values())
        return study

    def dataset(self, name: str) -> xr.Dataset:
        """Return one of the `datasets`."""
        return self._get(Dataset(name))

    def model(self, name: str, member: int = 0) -> ReducedModel:
        """Return one of the `models`, the member with that seed."""
        return self._get(Model(name, member))

    def observed(self, name: str, *datasets: str, member: int = 0) -> list[Observation]:
        """Return what a member says of some datasets."""
        return self._get(Observed(Model(name, member), datasets))

    def result(self, name: str) -> Result:
        """Return one of the `results`."""
        return self._get(Outcome(name))

    def published(self, name: str) -> Result:
        """Return a result that lies in the repository."""
        return self._get(Published(name))

    def training_log(self, name: str) -> pd.DataFrame:
        """Return the log of a model: one row per epoch."""
        return self._get(Log(name))

    def stored_rows(self) -> list[dict]:
        """Return every row of the published results and of those of this profile that are stored."""
        found = [published(name)[0] for name in published_names()]
        for name, request in self._requests.items():
            if self.store.find(request.step, self._key(Outcome(name))):
                found.append(self.result(name))
        return [entry for result in found for entry in result.records()]

    def publish(self) -> list[Path]:
        """Write the published results, with the weights of the first member of each arm; return the folders.

        Raises
        ------
        InvalidSetting
            If the profile trains one member only, so that there is nothing to publish.
        """
        if all(self.profile.models[arm].members == 1 for arm in self.profile.arms):
            raise InvalidSetting(f"profile = {self.profile.name!r}: trains one member; must train several")
        folders = []
        for name, request in self._requests.items():
            if not request.publish:
                continue
            self.result(name)
            arm = name.removeprefix("members_")
            target = published_folder() / arm
            copy_out(self.store.folder(request.step, self._key(Outcome(name))), target)
            if arm in self.profile.arms:
                copy_out(self._model_folder(Model(arm)), target / "model")
            folders.append(target)
        return folders

    def train_all(self) -> None:
        """Train all models that chapters show and that are missing, at the same time."""
        plans = self.profile.models.items()
        wanted = [Model(name, i) for name, plan in plans if plan.shown for i in range(plan.members)]
        missing = [model for model in wanted if not self.store.find(TRAIN, self._key(model))]
        train_many([self._training(model) for model in missing], self.store)

    def keys(self) -> set[str]:
        """Return the keys of everything that this profile can ask for."""
        members = [Model(name, i) for name, plan in self.profile.models.items() for i in range(plan.members)]
        controls = [Control(number) for number in range(len(self.profile.controls))]
        parts = (map(Dataset, self.datasets), members, controls, map(Outcome, self.results))
        return {self._key(each) for part in parts for each in part}

    def _get(self, reference: Reference) -> Any:
        """Return what a reference stands for, loaded once."""
        makers: dict[type, Callable[[Any], Any]] = {
            Dataset: lambda each: open_dataset(self._data_path(each.name)),
            Model: lambda each: load_model(self._model_folder(each)),
            Log: lambda each: pd.read_csv(self._model_folder(Model(each.name)) / LOG),
            Observed: self._observed,
            Outcome: self._outcome,
            Published: lambda each: published(each.name)[0],
            Control: lambda each: Result.load(self._control_folder(each.number)),
        }
        if reference not in self._loaded:
            self._loaded[reference] = makers[type(reference)](reference)
        return self._loaded[reference]

    def _key(self, reference: Single) -> str:
        """Return the key of what a reference stands for."""
        match reference:
            case Dataset(name):
                self._known(name, self.datasets)
                return content_key(self._step_of(name), self.profile.datasets[name])
            case Model(name, member):
                self._known(name, self.models)
                plan = self.profile.models[name]
                inputs = tuple(self._key(Dataset(each)) for each in plan.data)
                return content_key(TRAIN, plan.settings.replace(member=member), inputs)
            case Log(name):
                return self._key(Model(name))
            case Outcome(name):
                self._known(name, self.results)
                request = self._requests[name]
                return content_key(
                    request.step, _Options(options=dict(request.options)), self._inputs(request)
                )
            case Published(name):
                return published(name)[1]["key"]
            case Control(number):
                return content_key(CONTROL, self.profile.controls[number])

    def _inputs(self, request: Request) -> tuple[str, ...]:
        keys: list[str] = []
        for each in _needed(request):
            if isinstance(each, Observed):
                keys += [self._key(each.model), *(self._key(Dataset(name)) for name in each.datasets)]
            else:
                keys.append(self._key(each))
        return tuple(keys)

    def _outcome(self, reference: Outcome) -> Result:
        key, request = self._key(reference), self._requests[reference.name]

        def compute(folder: Path) -> None:
            given = {
                name: tuple(map(self._get, need)) if isinstance(need, tuple) else self._get(need)
                for name, need in request.needs.items()
            }
            result = request.compute(**given, **request.options)
            common = {"analysis": request.step.name, "system": self._system_of(request)}
            Result.of(result.records(), common, **result.arrays).save(folder)

        options = _Options(options=dict(request.options))
        folder = self.store.get(request.step, options, compute, self._inputs(request))
        return Result.load(folder, profile=self.profile.name, key=key)

    def _system_of(self, request: Request) -> str | None:
        """Return the name of the system of the first dataset that an analysis is given."""
        for each in _needed(request):
            match each:
                case Dataset(name) | Observed(_, (name, *_)):
                    return self.profile.datasets[name].system.system
                case Outcome(name):
                    return self._system_of(self._requests[name])
                case Published(name):
                    return published(name)[0].table["system"].dropna().iloc[0]
        return None

    def _observed(self, reference: Observed) -> list[Observation]:
        model = self._get(reference.model)
        return [self._observation(model, reference.model, name) for name in reference.datasets]

    def _observation(self, model: ReducedModel, of: Model, name: str) -> Observation:
        """Return what a member says of one dataset; all members share its frames."""
        if (of, name) not in self._loaded:
            shared = next((o for k, o in self._loaded.items() if isinstance(k, tuple) and k[1] == name), None)
            frames = None if shared is None else shared.stored
            self._loaded[of, name] = Observation(model, self.dataset(name), frames)
        return self._loaded[of, name]

    def _data_path(self, name: str) -> Path:
        self._known(name, self.datasets)
        campaign, step = self.profile.datasets[name], self._step_of(name)
        if step is SIMULATE:
            return simulate(campaign, self.store)
        return described_films(campaign, self.store, persistent=step is DESCRIBE_PERSISTENCE)

    def _step_of(self, name: str) -> Step:
        """Return the step that makes a dataset."""
        if name not in self.profile.described:
            return SIMULATE
        return DESCRIBE_PERSISTENCE if name in self.profile.persistent else DESCRIBE

    def _model_folder(self, model: Model) -> Path:
        if folder := self.store.find(TRAIN, self._key(model)):
            return folder
        members = [Model(model.name, i) for i in range(self.profile.models[model.name].members)]
        return train_many([self._training(each) for each in members], self.store)[model.member]

    def _training(self, model: Model) -> tuple[list[Path], ModelSettings]:
        """Return the datasets and the settings of a member."""
        plan = self.profile.models[model.name]
        return [self._data_path(each) for each in plan.data], plan.settings.replace(member=model.member)

    def _control_folder(self, number: int) -> Path:
        if folder := self.store.find(CONTROL, self._key(Control(number))):
            return folder
        # All are run when the first is asked for, for they are run in parallel.
        return run_controls(self.profile.controls, self.store)[number]

    @staticmethod
    def _known(name: str, names: tuple[str, ...]) -> None:
        if name not in names:
            raise InvalidSetting(f"name = {name!r}: must be one of {', '.join(names)}")
