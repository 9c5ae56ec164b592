"""The controls of the test for jumps: beads, films and a Swift–Hohenberg field whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from nrp.analysis.transition.controls import ControlSettings, Kind
from nrp.pipeline.sizes import steps
from nrp.reduction.settings import ModelSettings
from nrp.simulation.settings import CampaignSettings
from nrp.systems.bead import BeadSettings, Tilt
from nrp.systems.swift_hohenberg import SwiftHohenbergSettings

_TILT = Tilt(level=1.0, trend=0.1, scatter=0.02)
TILTS = (
    _TILT,
    *(_TILT.replace(change=0.5, width=width) for width in (0.4, 0.2, 0.1)),
    *(_TILT.replace(change=change) for change in (0.05, 0.1, 0.2, 0.3, 0.5)),
)
"""Landscapes of the beads: without a change, with smooth changes of several widths, and with jumps."""
SMALL_TILTS = (_TILT, TILTS[2], TILTS[-3], TILTS[-1])
"""Those that are computed live."""


def bead_controls(
    tilts: Sequence[Tilt], seeds: Sequence[int], *, duration: float = 4.0, longer: int = 1
) -> tuple[ControlSettings, ...]:
    """Return beads that slide to the right past the middle, with a tilt that changes at some place.

    Each tilt is taken with each seed, which decides where it changes and its scatter; `longer` is a factor
    on the number of epochs.
    """
    controls = []
    for tilt, seed in product(tilts, seeds):
        tilt = tilt.replace(place=_place(seed), seed=seed)
        campaign = CampaignSettings(
            system=BeadSettings(pixels=16, well=0.5, tilt=tilt, start=0.2, centre=(-1.2, 0.0)),
            anisotropy=steps(1, 4, 0.1),
            sample=(seed,),
            field_init=0.0,
            duration=duration,
            frames=round(6.5 * duration) + 1,
        )
        jump, width = (0.0, tilt.width) if tilt.width else (tilt.change, 0.0)
        kind = Kind(system="bead", jump=jump, width=width, scatter=tilt.scatter, longer=longer)
        model = ModelSettings(latent=2, width=64, batch=100, epochs=150 * longer, member=seed)
        controls.append(ControlSettings(kind=kind, campaign=campaign, model=model, place=tilt.place))
    return tuple(controls)


def _place(seed: int) -> float:
    """Return where a control jumps: places spread evenly (by the golden ratio), on no grid of α."""
    return round(1.75 + 1.5 * (0.5 + 0.618034 * seed) % 1.5, 2) + 0.003


def film_controls(
    films: CampaignSettings, mobility: float, seeds: Sequence[int], model: ModelSettings | None = None
) -> tuple[ControlSettings, ...]:
    """Return films of one disorder sample each whose mobility jumps.

    Without a model the runs end a while after their onset.
    """
    if not model:
        frames = 1 + 2 * (films.frames - 1) // 3
        duration = 2 * films.sweep_time(*films.sweep_rate) * (frames - 1) / (films.frames - 1)
        films = films.replace(frames=frames, duration=duration)
    return tuple(
        ControlSettings(
            kind=Kind(system="film", mobility=mobility, arm=model and model.arm),
            campaign=films.replace(sample=seed),
            model=model and model.replace(member=seed),
            place=_place(seed),
        )
        for seed in seeds
    )


def first_order_control(seed: int) -> ControlSettings:
    """Return a Swift–Hohenberg field that grows from noise, of stripes or of hexagons."""
    campaign = CampaignSettings(
        system=SwiftHohenbergSettings(box=32, start="uniform", start_level=0.3, noise=0.01),
        anisotropy=steps(0.1, 1, 0.03),
        sample=seed,
        sweep_rate=0.0,
        field_init=0.0,
        duration=30.0,
        frames=61,
        time_step=0.1,
    )
    model = ModelSettings(latent=8, width=64, batch=200, epochs=150, member=seed)
    kind = Kind(system="swift_hohenberg", first_order=True)
    return ControlSettings(kind=kind, campaign=campaign, model=model, settled=1500.0)


def paper_controls(films: CampaignSettings, paper: ModelSettings) -> tuple[ControlSettings, ...]:
    """Return the full campaign of controls."""
    rough = [tilt.replace(scatter=0.1) for tilt in (TILTS[0], TILTS[-1])]
    return (
        *bead_controls(TILTS, range(30)),
        *bead_controls(TILTS[-1:], range(30), longer=10),
        *bead_controls(rough, range(30), duration=6.0),  # some are slow
        *(first_order_control(seed) for seed in range(20)),
        *(each for factor in (1, 2, 4) for each in film_controls(films, factor, range(30))),
        *(each for factor in (1, 4) for each in film_controls(films, factor, range(30, 35), paper)),
    )
