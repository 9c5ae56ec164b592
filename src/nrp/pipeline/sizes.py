"""The numbers in which the profiles `mini` and `book` differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nrp.systems.bead import BeadSettings
from nrp.systems.cahn_hilliard import CahnHilliardSettings
from nrp.systems.film import FilmSettings


def steps(first: float, last: float, step: float) -> tuple[float, ...]:
    """Return evenly spaced values, both ends among them."""
    return tuple(round(first + i * step, 10) for i in range(round((last - first) / step) + 1))


@dataclass(frozen=True)
class Size:
    """The numbers in which `mini` and `book` differ; by default those of `book`."""

    name: str = "book"
    film: FilmSettings = field(default_factory=FilmSettings)
    fine_film: FilmSettings = field(default_factory=lambda: FilmSettings(box=32, coarsen=1))
    frames: int = 101
    step: float = 0.1
    """From one anisotropy to the next; `coarse_step` where fewer will do."""
    coarse_step: float = 0.25
    beyond_step: float = 0.5
    sweep_rate: float = 0.01
    rates: tuple[float, ...] = (0.005, 0.007, 0.02)
    held_rate: float = 0.014
    beyond_rate: float = 0.04
    fine_rates: tuple[float, ...] = (0.005, 0.01, 0.014, 0.02)
    samples: int = 4
    jumps: tuple[float, float, float] = (20, 120, 220)
    """When the field jumps, jumps again, and the run ends."""
    hold: tuple[float, float] = (80, 180)
    """When the sweep stops, and the run ends."""
    quench: float = 150
    beyond: tuple[float, ...] = (0.7, 0.8, 0.9, 4.25, 4.5, 4.75, 5.0)
    loop_step: float = 1
    loop_rates: tuple[float, ...] = (0.01, 0.04)
    loop_frames: int = 201
    bead: BeadSettings = field(default_factory=BeadSettings)
    bead_samples: int = 60
    bead_frames: int = 31
    bead_step: float = 0.05
    bead_trained: int = 40
    mixture: CahnHilliardSettings = field(default_factory=CahnHilliardSettings)
    described_film: FilmSettings = field(default_factory=FilmSettings)
    described: dict[str, Any] = field(
        default_factory=lambda: {
            "anisotropy": steps(1, 4, 0.2),
            "between": steps(1.1, 3.9, 0.2),
            "samples": 3,
            "rates": (0.005, 0.01, 0.02, 0.014, 0.03),
            "rest": 200.0,
            "levels": (0.35, 0.5),
            "other_levels": (0.43,),
        }
    )
    """Of `nrp.pipeline.descriptor_campaigns.described_films`."""
    held: tuple[float, ...] = (1.2, 1.7, 1.75, 2.2, 2.7, 3.2, 3.25, 3.7)
    paper: dict[str, Any] = field(default_factory=dict)
    identified: dict[str, Any] = field(default_factory=lambda: {"validation": {"sweep_rate": 0.007}})
    descriptors: dict[str, Any] = field(default_factory=dict)
    bead_model: dict[str, Any] = field(default_factory=lambda: {"epochs": 800})
    variant_scale: int = 1
    """By this the boxes of the variants are smaller."""
    figure_anisotropy: tuple[float, float] = (1.5, 3.5)
    solver_box: float = 32.0
    solver_samples: int = 5


MANY_FILMS = Size().described | {
    "samples": 6,
    "levels": (0.2, 0.35, 0.5, 0.65),
    "other_levels": (0.28, 0.43, 0.58),
}
"""The films of which the published potentials of descriptors are learned."""
_SMALL = {"latent": 8, "width": 64, "batch": 50}
MINI = Size(
    name="mini",
    film=FilmSettings(box=16, dx=0.5, coarsen=1),
    fine_film=FilmSettings(box=16, dx=0.5, coarsen=1),
    frames=31,
    step=0.25,
    coarse_step=0.5,
    beyond_step=1,
    sweep_rate=0.02,
    rates=(0.015, 0.04),
    held_rate=0.03,
    beyond_rate=0.06,
    fine_rates=(0.02,),
    samples=2,
    jumps=(5, 40, 70),
    hold=(40, 65),
    quench=60,
    beyond=(0.9, 4.5),
    loop_step=3,
    loop_rates=(0.04,),
    loop_frames=31,
    bead=BeadSettings(pixels=16),
    bead_samples=20,
    bead_frames=16,
    bead_step=0.1,
    bead_trained=14,
    mixture=CahnHilliardSettings(box=16, coarsen=1),
    described_film=FilmSettings(box=20, dx=0.5, coarsen=1),
    described={
        "anisotropy": (1.0, 2.0, 3.0, 4.0),
        "between": (1.5, 2.5, 3.5),
        "samples": 2,
        "rates": (0.02, 0.04, 0.03, 0.06),
        "rest": 20.0,
        "levels": (0.3, 0.6),
        "other_levels": (0.4,),
    },
    held=(1.5, 3.5),
    paper={"epochs": 60, **_SMALL},
    identified={"modes": 64, "epochs": 20, "rollout_frames": 4, **_SMALL},
    descriptors={"epochs": 4, "width": 32},
    bead_model={"epochs": 600, **_SMALL},
    variant_scale=4,
    figure_anisotropy=(2.0, 4.0),
    solver_box=8.0,
    solver_samples=2,
)
