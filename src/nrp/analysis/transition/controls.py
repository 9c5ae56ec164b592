"""Controls: the whole way from film to test, for systems of which it is known whether they jump.

A control is filmed, learned from and tested as the magnetic film is.  Beads slide down landscapes whose tilt
jumps at a known α, or changes smoothly there; the Swift–Hohenberg field passes a first-order transition; and
the film itself is shown with a mobility, and so a reduced potential, that jumps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy import ndarray

from nrp.analysis.images.domains import count_domains
from nrp.analysis.registry import Control, Needs, analysis
from nrp.analysis.transition.continuity import jump_rows
from nrp.analysis.transition.jumps import LEVEL
from nrp.analysis.transition.reading import companions, gradients_in, image_rates, rate_error, true_rates
from nrp.base import Count, InvalidSetting, NonNegative, Positive, Settings
from nrp.evaluation import Observation, Result, row
from nrp.evaluation.result import mean_row, share_row
from nrp.parallel import map_tasks
from nrp.reduction import ModelSettings, images_of, load_model, train
from nrp.simulation import CampaignSettings, open_dataset, simulate
from nrp.store import Step, Store

CONTROL = Step("control", 3)
_NEAR = 0.5
"""How far above a jump its size is measured, in α."""
_SCATTER = 0.02
"""Scatter of the controls that is not worth a word."""


class Kind(Settings):
    """What is known of a control: which system it is, and how it changes with α."""

    system: str
    jump: NonNegative = 0.0
    """Size of a jump of the bead's tilt, as a share of its mean."""
    width: NonNegative = 0.0
    """Width of a smooth change by one half of the mean instead."""
    scatter: NonNegative = _SCATTER
    """Random part of the tilt, as a share of its mean."""
    longer: Count = 1
    """Factor on the time for which the networks are trained."""
    mobility: Positive | None = None
    """Factor on the mobility of a film above some anisotropy."""
    first_order: bool = False
    """Whether the final pattern passes a first-order transition."""
    arm: str | None = None
    """The arm through which films are read."""

    @property
    def smooth(self) -> bool:
        """Whether nothing jumps."""
        return not (self.jump or self.first_order or self.mobility not in (None, 1))

    @property
    def label(self) -> str:
        """Name of the kind in tables."""
        if self.first_order:
            return "first order"
        if self.mobility is not None:
            label = f"mobility × {self.mobility:g}" if self.mobility != 1 else "smooth, usual mobility"
        elif self.jump:
            label = f"jump {self.jump:g}"
        else:
            label = f"smooth, width {self.width:g}" if self.width else "smooth, no change"
        words = [label]
        if self.scatter != _SCATTER:
            words.append(f"scatter {self.scatter:g}")
        if self.longer > 1:
            words.append(f"trained {'ten' if self.longer == 10 else self.longer} times as long")
        if self.arm:
            words.append(f"arm {self.arm}")
        return ", ".join(words)


class ControlSettings(Settings):
    """A control of the test for jumps: what is filmed, and how a potential is learned from it."""

    kind: Kind
    campaign: CampaignSettings
    """One run per anisotropy."""
    model: ModelSettings | None = None
    """None, where only the film itself is looked at."""
    settled: Positive | None = None
    """When a field is looked at again, to count the domains of its final state."""
    place: Positive = 2.5
    """The anisotropy above which something has jumped."""

    def smaller(self, step: float) -> ControlSettings:
        """Return a control with fewer anisotropies, this far apart, and fewer frames and epochs."""
        first, *_, last = self.campaign.anisotropy
        count = round((last - first) / step) + 1
        grid = tuple(round(first + i * step, 10) for i in range(count))
        return self.replace(
            campaign=self.campaign.replace(anisotropy=grid, frames=11),
            model=self.model and self.model.replace(epochs=20),
            settled=self.settled and self.settled / 5,
        )


def run_controls(
    controls: Sequence[ControlSettings], store: Store, *, workers: int | None = None
) -> list[Path]:
    """Return the folders of the results of controls, computing in parallel those that are missing.

    Films and models of a control lie in a temporary folder, of which nothing is kept.
    By default there is one worker per core.
    """
    tasks = [(control, store.root) for control in controls]
    return map_tasks(_run_into, tasks, workers=workers, title=f"running {len(controls)} controls")


def _run_into(control: ControlSettings, root: Path) -> Path:
    return Store(root).get(CONTROL, control, lambda folder: run_control(control).save(folder))


def run_control(control: ControlSettings) -> Result:
    """Film, learn and read one control.

    Arrays: ``alphas``, and the curves that are tested: ``onset_time``, ``onset_rate`` and
    ``onset_rate_in_frame``, the same in the first frame from the onset on, which need no network; with a
    model ``onset_gradient``, in that frame, ``onset_gradient_interpolated``, ``decoded_rate``,
    ``separate_gradient`` and ``separate_rate`` of `nrp.analysis.transition.transition`; for a field that is
    looked at again ``final_domains``, the domains of φ > 0 at the end; and for a film whose mobility jumps
    ``multiplied_rate``, the onset rate of the usual film times the mobility.
    Rows: ``rate_error`` of the potential, in sample; ``mobility_response``, by which factor the onset rate of
    a film differs from that of the usual one within `_NEAR` above the jump of its mobility.

    Raises
    ------
    InvalidSetting
        If a run ends before its onset.
    """
    common = {"system": control.kind.system, "split": control.kind.label}
    rows, mobility = [], control.kind.mobility or 1
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        usual = open_dataset(simulate(control.campaign, store, workers=1)).load()
        films = usual if mobility == 1 else _with_mobility(control, usual, store, factor=mobility)
        alphas, times, starts = (films[name].values for name in ("anisotropy", "time", "onset_time"))
        if not (starts < times[:, -1]).all():
            end = control.campaign.end(*control.campaign.sweep_rate)
            raise InvalidSetting(f"duration = {end:g}: must be longer, for a run ends before its onset")
        frames = (times >= starts[:, None]).argmax(axis=1)
        curves = {
            "onset_time": starts,
            "onset_rate": true_rates(films),
            "onset_rate_in_frame": image_rates(films)[np.arange(len(frames)), frames],
        }
        if mobility != 1:
            rate, above = true_rates(usual), alphas > control.place
            curves["multiplied_rate"] = rate * np.where(above, mobility, 1.0)
            near = above & (alphas < control.place + _NEAR)
            response = np.exp(np.mean(np.log(curves["onset_rate"] / rate)[near]))
            rows.append(row("mobility_response", response, **common))
        if control.settled is not None:
            ends = control.campaign.replace(duration=control.settled, frames=2)
            final = images_of(open_dataset(simulate(ends, store, workers=1)).isel(frame=-1)).values
            curves["final_domains"] = np.array([count_domains(image > 0) for image in final], dtype=float)
        if control.model:
            model = load_model(train([films], control.model, store))
            seen = Observation(model, films)
            curves |= {"onset_gradient": gradients_in(seen, frames), **companions(seen, starts)}
            rows.append(row("rate_error", rate_error(seen), **common))
    return Result.of(rows, alphas=alphas, **curves)


def _with_mobility(control: ControlSettings, usual: xr.Dataset, store: Store, *, factor: float) -> xr.Dataset:
    """Return the runs of a control with another mobility above its place."""
    campaign, above = control.campaign, usual.anisotropy.values > control.place
    slow = campaign.replace(
        anisotropy=tuple(usual.anisotropy.values[above].tolist()),
        sweep_rate=tuple(rate / factor for rate in campaign.sweep_rate),
        duration=campaign.duration and campaign.duration * factor,
    )
    slowed = open_dataset(simulate(slow, store, workers=1)).load()
    parts = [usual.isel(run=~above), quickened(slowed, factor)]
    films = xr.concat(parts, dim="run", combine_attrs="override")
    return films.assign_attrs(key=f"{usual.attrs['key']} {slowed.attrs['key']}")


def quickened(films: xr.Dataset, factor: float) -> xr.Dataset:
    """Return films as they are in a medium of so many times their mobility, ∂φ/∂t = −factor · δH/δφ.

    The states are the same ones and come sooner, and so do the fields: a film that is swept at the rate v in
    such a medium is the quick-motion picture of one that is swept at v/factor in the usual one.
    """
    sooner = {"time": films["time"] / factor, "sweep_rate": films["sweep_rate"] * factor}
    faster = {"rate": films["rate"] * factor, "onset_time": films["onset_time"] / factor}
    return films.assign(faster).assign_coords(sooner)


def _needs(profile) -> Needs:
    return {"controls": tuple(Control(number) for number in range(len(profile.controls)))}


def _options(profile) -> dict[str, object]:
    return {"kinds": tuple(control.kind for control in profile.controls)}


@analysis("power", version=3, needs=_needs, options=_options, publish=True)
def power(controls: Sequence[Result], *, kinds: Sequence[Kind], level: float = LEVEL) -> Result:
    """Return how often the test raises an alarm, by the kind of control and the curve that is tested.

    Rows: ``detection_rate`` where there is a jump and ``false_alarm_rate`` where there is none, with 95 %
    intervals (Clopper and Pearson) and the number of runs as `members`; the kind is the split, the curve the
    case.  ``false_alarm_rate`` of all smooth kinds of a system together.  ``rate_error`` and
    ``mobility_response``, mean over runs with the 95 % interval of the mean (Student's t).
    Arrays: the curves of the first run of each kind, as ``kind/curve``.
    """
    pairs = list(zip(controls, kinds, strict=True))
    tables = map_tasks(_numbers, pairs, title=f"testing {len(pairs)} controls")
    table = pd.concat(tables)
    smooth = table[table["smooth"] & (table["metric"] == "jump_p_value")]
    table = pd.concat([table, smooth.assign(split="smooth, all " + smooth["system"] + "s")])
    rows = []
    by = ["system", "split", "metric", "case", "smooth"]
    for (system, split, metric, case, is_smooth), part in table.groupby(by, sort=False, dropna=False):
        values, columns = part["value"].to_numpy(), {"system": system, "split": split, "members": len(part)}
        if metric != "jump_p_value":
            rows.append(mean_row(metric, values, **columns))
            continue
        name = "false_alarm_rate" if is_smooth else "detection_rate"
        rows.append(share_row(name, values < level, case=case, **columns))
    first: dict[str, ndarray] = {}
    for result, kind in pairs:
        for name, curve in result.arrays.items():
            first.setdefault(f"{kind.label}/{name}", curve)
    return Result.of(rows, **first)


def _numbers(control: Result, kind: Kind) -> pd.DataFrame:
    """Return what is counted of a control: the p values of its curves, and its own rows."""
    alphas = control.arrays["alphas"]
    columns: dict[str, Any] = {"system": kind.system, "split": kind.label}
    tests = [
        test
        for name, curve in control.arrays.items()
        if name != "alphas"
        for test in jump_rows(name, alphas, curve[None], power=False, **columns)
        if test["metric"] == "jump_p_value"
    ]
    return pd.concat([control.table, Result.of(tests).table]).assign(smooth=kind.smooth)
