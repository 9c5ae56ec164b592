"""Bounds that the numbers of the book must keep, for the check cells of the chapters."""

from __future__ import annotations

from dataclasses import dataclass, field

from nrp.pipeline import Study


class CheckFailed(AssertionError):
    """A number is out of its bounds; the message is one line."""


@dataclass(frozen=True)
class Bound:
    """Where a number is found, and between what it must lie in each profile."""

    result: str
    metric: str
    book: tuple[float, float]
    mini: tuple[float, float] | None = None
    """By default the same as for the book; the profile `paper` has the bounds of the book."""
    where: dict[str, object] = field(default_factory=dict)
    published: bool = False
    """Whether it is found in a published result, which is the same for each profile."""


def _domains(alpha: float, book: tuple[float, float], mini: tuple[float, float]) -> Bound:
    return Bound("patterns", "negative_domains", book, mini, {"anisotropy": alpha})


def _beads(metric: str, kind: str, bounds: tuple[float, float], *, published: bool = False) -> Bound:
    where = {"split": kind, "case": "separate_gradient", "system": "bead"}
    return Bound("power", metric, bounds, where=where, published=published)


BOUNDS: dict[str, Bound] = {
    "growth rates": Bound("solver", "growth_rate_error", (0, 1e-4)),
    "uniform mode": Bound("solver", "uniform_mode_error", (0, 1e-6)),
    "stripe energy": Bound("solver", "stripe_energy_error", (0, 5e-3)),
    "wall energy": Bound("solver", "wall_energy_error", (0, 1e-4)),
    "energy balance": Bound("solver", "dissipation_error", (0, 5e-3)),
    "order of the scheme": Bound("solver", "convergence_order", (3.5, 4.5), where={"case": "sbdf4"}),
    "order of the other": Bound("solver", "convergence_order", (3.5, 4.5), where={"case": "etdrk4"}),
    "both schemes agree": Bound("solver", "scheme_difference", (0, 5e-3), where={"anisotropy": 2.0}),
    "a coarse grid differs": Bound(
        "solver", "resolution_difference", (0.2, 2), where={"anisotropy": 4.0, "case": "dx = 1, t = 300"}
    ),
    "a wide loop at high anisotropy": Bound(
        "hysteresis", "remanence", (0.1, 1), where={"anisotropy": 4.0, "case": "v = 0.04"}
    ),
    "wells of the bead": Bound("landscape", "minimum_position_error", (0, 0.15)),
    "shape of the bead's landscape": Bound("landscape", "energy_r2", (0.75, 1), (0.05, 1)),
    "labyrinth at low anisotropy": _domains(1.0, (1, 15), (1, 2.5)),
    "islands": _domains(2.0, (40, 70), (3, 6)),
    "labyrinth at high anisotropy": _domains(4.0, (8, 28), (1, 2.5)),
    "onset at α = 1": Bound("onset", "onset_time", (80, 86), (43, 50), {"anisotropy": 1.0, "case": "range"}),
    "onset at α = 2": Bound("onset", "onset_time", (83, 89), (44, 52), {"anisotropy": 2.0, "case": "range"}),
    "onset at α = 4": Bound(
        "onset", "onset_time", (136, 144), (71, 78), {"anisotropy": 4.0, "case": "range"}
    ),
    "the first labyrinth ends": Bound("patterns", "labyrinth_end", (1.6, 1.95), (1.2, 2.0)),
    "beads that jump": _beads("detection_rate", "jump 0.5", (0.5, 1)),
    "beads that do not": _beads("false_alarm_rate", "smooth, all beads", (0, 0.3)),
    "published jumps are seen": _beads("detection_rate", "jump 0.5", (0.95, 1), published=True),
    "published beads raise few alarms": _beads(
        "false_alarm_rate", "smooth, all beads", (0, 1 / 60), published=True
    ),
    "droplets before waves": Bound(
        "droplets", "crossing", (1.2, 1.3), where={"case": "droplets before waves"}
    ),
    "reconstruction": Bound(
        "forecast_paper", "reconstruction_rmse", (0, 0.03), (0, 0.2), {"split": "trained", "arm": "paper"}
    ),
    "error of POD": Bound(
        "pod", "reconstruction_rmse", (0.06, 1), (0.01, 1), {"split": "trained", "case": "32 modes"}
    ),
    "velocity of the arm identified": Bound(
        "forecast_identified",
        "rate_error",
        (0, 0.2),
        (0, 0.9),
        {"split": "trained", "arm": "identified", "case": None},
    ),
    "energy beyond the controls": Bound(
        "diagnostics_identified",
        "energy_r2_beyond_lookup",
        (0.3, 1),
        (0.05, 1),
        {"split": "new_sweep_rate", "case": None},
    ),
    "response to the field": Bound(
        "diagnostics_identified", "zeeman_error", (0, 0.05), (0, 0.3), {"split": "trained"}
    ),
    "one step of the arm identified": Bound(
        "forecast_identified",
        "one_step_skill",
        (0.6, 1),
        (0.1, 1),
        {"split": "trained", "arm": "identified", "case": "increment"},
    ),
    "energy falls at rest": Bound(
        "gradient_flow_identified",
        "rise",
        (0, 0.05),
        (0, 0.2),
        {"split": "trained", "arm": "identified", "case": "amount"},
    ),
    "scale law": Bound("demonstrations", "scale_law_error", (0, 1e-3)),
    "gauge": Bound("demonstrations", "gauge_loss_change", (0, 1e-5)),
}


def check(study: Study, *names: str) -> None:
    """Print a line for each number that keeps its bounds.

    The line holds no number, so it is the same on every machine.

    Raises
    ------
    CheckFailed
        If a number is out of its bounds.
    """
    for name in names:
        bound = BOUNDS[name]
        result = study.published(bound.result) if bound.published else study.result(bound.result)
        value = result.value(bound.metric, **bound.where)
        mini = study.profile.name == "mini" and bound.mini is not None
        low, high = bound.mini if mini else bound.book
        if not low <= value <= high:
            raise CheckFailed(f"{name}: {value:.6g} is not between {low:g} and {high:g}")
        print(f"{name}: within its bounds")
