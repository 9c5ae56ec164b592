"""The figures of the book: drawn from small real results, they have labels and need no colour."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nrp.analysis.film.formation import formation
from nrp.analysis.film.hysteresis import hysteresis
from nrp.analysis.film.onset import onset
from nrp.analysis.film.patterns import patterns
from nrp.analysis.film.runs import nearest
from nrp.analysis.model.curves import labelled_frames, sweep_curves
from nrp.analysis.model.energy import diagnostics, stretching
from nrp.analysis.model.identifiability import demonstrations
from nrp.analysis.model.landscape import landscape
from nrp.analysis.model.reconstruction import final_frames
from nrp.analysis.model.training import training
from nrp.book import figures
from nrp.book.figures.style import interval
from nrp.evaluation import Observation, Result, row
from nrp.pipeline.profiles import profile
from nrp.pipeline.published import published
from nrp.reduction import ModelSettings, ReducedModel, coverage, load_frames
from nrp.reduction.settings import Runs
from nrp.simulation import CampaignSettings, open_dataset, simulate
from nrp.simulation.calibration import calibration
from nrp.store import Store
from nrp.systems.bead import BeadSettings
from nrp.systems.film import FilmSettings

ARMS = ("paper", "identified")
FILMS = CampaignSettings(
    system=FilmSettings(box=16, dx=1, coarsen=1), anisotropy=(1.0, 2.0, 3.0, 4.0), sweep_rate=0.05, frames=9
)


# What is drawn


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A function that simulates a campaign."""
    store = Store(tmp_path_factory.mktemp("runs"))

    def run(campaign=FILMS, **changes):
        return open_dataset(simulate(campaign.replace(**changes), store)).load()

    return run


@pytest.fixture(scope="module")
def films(runs):
    """One run for each of four anisotropies."""
    return runs()


@pytest.fixture(scope="module")
def observed(films):
    """What models that were never trained say of the films, by arm."""
    found = {}
    for arm, modes in zip(ARMS, (0, 8), strict=True):
        settings = ModelSettings(arm=arm, latent=4, width=8, modes=modes, held=Runs(anisotropy=(3.0,)))
        model = ReducedModel(settings, (16, 16), coverage([films], settings))
        model.fit(load_frames(films).images.flatten(0, 1))
        found[arm] = Observation(model, films)
    return found


@pytest.fixture(scope="module")
def results(runs, films, observed):
    """The results of analyses, by name."""
    samples = runs(sample=(1, 2))
    loops = runs(field_init=2.5, field_final=-2.5, field_loop=True, sweep_rate=(0.1, 0.2))
    return {
        "patterns": patterns(films, samples),
        "formation": formation(films, samples),
        "onset": onset(films, samples),
        "hysteresis": hysteresis(loops),
        "curves": sweep_curves([observed["paper"]], alphas=(2.0, 4.0)),
        "demonstrations": demonstrations([observed["paper"]]),
        "diagnostics": {arm: diagnostics([each]) for arm, each in observed.items()},
    }


def reading(name: str) -> Result:
    """Return a published result."""
    return published(name)[0]


# What a figure must be


def drawn(figure: Figure) -> list[Axes]:
    """Draw a figure, and return its axes."""
    figure.draw_without_rendering()
    assert figure.axes
    return figure.axes


def assert_labelled(figure: Figure) -> None:
    """Check that every axis with numbers on it has a label, at its own side or at that of a neighbour."""
    for ax in drawn(figure):
        for name, joined in (("x", ax.get_shared_x_axes()), ("y", ax.get_shared_y_axes())):
            has_numbers = ax.axison and any(
                text.get_text() for text in getattr(ax, f"get_{name}ticklabels")()
            )
            beside = [ax, *joined.get_siblings(ax)] + [
                other
                for other in figure.axes
                if getattr(other, f"get_{name}lim")() == getattr(ax, f"get_{name}lim")()
            ]
            if has_numbers:
                assert any(getattr(each, f"get_{name}label")() for each in beside), f"{name} of {ax}"


def look(handle: object) -> tuple | None:
    """Return what tells a line or a bar from another in black and white."""
    if isinstance(handle, ErrorbarContainer):
        handle = handle[0]
    if isinstance(handle, Line2D):
        return handle.get_linestyle(), handle._dash_pattern, handle.get_marker(), handle.get_linewidth() > 3
    if isinstance(handle, BarContainer):
        return (handle[0].get_hatch(),)
    return None if isinstance(handle, PathCollection) else (type(handle),)


def assert_told_apart(figure: Figure) -> None:
    """Check that no two entries of a legend differ in colour alone."""
    for ax in figure.axes:
        handles, labels = ax.get_legend_handles_labels()
        for (one, this), (other, that) in combinations(list(zip(handles, labels, strict=True)), 2):
            assert this == that or look(one) != look(other), (this, that)


def check(figure: Figure) -> Figure:
    """Check all of that."""
    assert_labelled(figure)
    assert_told_apart(figure)
    return figure


def test_a_figure_without_labels_is_found():
    figure, ax = figures.style.subplots(1, 1, (3, 2))
    ax.plot((0, 1), (0, 1))
    with pytest.raises(AssertionError):
        assert_labelled(figure)


def test_lines_that_differ_in_colour_alone_are_found():
    figure, ax = figures.style.subplots(1, 1, (3, 2))
    for color in ("red", "blue"):
        ax.plot((0, 1), (0, 1), color=color, label=color)
    with pytest.raises(AssertionError):
        assert_told_apart(figure)


# The figures


def test_bead(runs):
    beads = runs(
        CampaignSettings(
            system=BeadSettings(pixels=12),
            anisotropy=1.0,
            sample=(0, 1),
            field_init=0.0,
            duration=2.0,
            frames=7,
            time_step=0.1,
        )
    )
    settings = ModelSettings(latent=2, width=8)
    model = ReducedModel(settings, (12, 12), coverage([beads], settings))
    model.fit(load_frames(beads).images.flatten(0, 1))
    result = landscape(model, beads)
    check(figures.bead.landscape(result))
    titles = [ax.get_title() for ax in drawn(figures.bead.frames(beads, count=4))]
    assert [titles[0], titles[-1]] == ["t = 0.0", "t = 2.0"]


def test_solver():
    k, step, time = np.linspace(0, 2, 9), np.array([0.05, 0.1, 0.2]), np.linspace(0, 5, 81)
    arrays = {
        "wavenumber": k,
        "growth_theory": 1 - (k - 1) ** 2,
        "growth_measured": 1 - (k - 1) ** 2,
        "step": step,
        "sbdf4_error": step**4,
        "etdrk4_error": 0.1 * step**4,
        "time": time,
        "energy_change": -np.exp(-time),
        "energy_balance": -np.exp(-time),
    }
    figure = check(figures.film.solver(Result.of([], **arrays)))
    order = figure.axes[1].get_lines()
    guide = next(line for line in order if line.get_label() == "fourth order")
    assert np.allclose(guide.get_ydata(), step**4)


def test_time_steps_and_grids():
    check(figures.film.time_steps(calibration()["errors"], (1.0, 2.0, 3.0, 4.0)))
    states = {f"final_{dx}": np.eye(8) for dx in ("1", "0.5", "0.25")}
    check(figures.film.grids(Result.of([], **states)))


def test_hysteresis(runs, results):
    assert len(check(figures.film.hysteresis(results["hysteresis"])).axes) == 4
    one = runs(anisotropy=2.0, field_init=2.5, field_final=-2.5, field_loop=True, sweep_rate=0.2)
    figure = check(figures.film.hysteresis(hysteresis(one)))
    assert [ax.get_title() for ax in figure.axes] == ["α = 2"]


def test_final_patterns_show_the_anisotropies_that_are_nearest(films, results):
    figure = check(figures.patterns.final_patterns(results["patterns"], (1.2, 3.9)))
    assert [ax.get_title() for ax in figure.axes[:2]] == ["α = 1", "α = 4"]
    shown = figure.axes[1].images[0].get_array()
    assert np.array_equal(shown, films.magnetization[3, -1])


def test_patterns(results):
    check(figures.patterns.descriptors(results["patterns"]))
    check(figures.patterns.topology_change(results["patterns"]))
    check(figures.patterns.formation(results["formation"], (1.0, 2.0, 4.0)))
    check(figures.patterns.onset_times(results["onset"]))


def test_births_and_deaths_are_those_of_their_anisotropy(results):
    figure = check(figures.patterns.persistence_diagrams(results["patterns"], (2.0, 4.0)))
    pairs = results["patterns"].arrays["persistence_pairs"]
    dark = figure.axes[1].get_lines()[0]
    here = pairs[(pairs[:, 0] == 4.0) & (pairs[:, 1] == 1)]
    assert np.array_equal(np.sort(dark.get_xdata()), np.sort(here[:, 2]))
    assert (here[:, 2] <= here[:, 3]).all()  # the level rises
    bright = pairs[pairs[:, 1] == -1]
    assert (bright[:, 2] >= bright[:, 3]).all()


def test_sensitivity_and_readings():
    result = reading("sensitivity")
    check(figures.patterns.sensitivity(result, ("box 64, dx = 0.5", "box 32", "dx = 1")))
    figure = check(figures.patterns.readings(result, {"unit_mean": "1 + μ", "zero_mean": "μ"}, (1.0, 4.0)))
    assert [ax.get_ylabel() for ax in figure.axes[:4]] == ["1 + μ", "", "μ", ""]


def test_framework_fits_on_the_page():
    figure = figures.model.framework()
    (ax,) = drawn(figure)
    window = ax.get_window_extent()
    for text in ax.texts:
        box = text.get_window_extent()
        assert window.x0 <= box.x0 < box.x1 <= window.x1, text.get_text()


def test_reconstructions_name_what_was_held_out(observed):
    pairs, alphas = final_frames(observed["paper"], (2.0, 3.1))
    figure = check(figures.model.reconstructions(pairs, alphas, held=(3.0,)))
    assert [ax.get_title() for ax in figure.axes[:2]] == ["α = 2", "α = 3, held out"]
    assert np.allclose(figure.axes[0].images[0].get_array(), observed["paper"].data.magnetization[1, -1])


def test_reconstruction_against_pod():
    check(figures.model.reconstruction_against_pod(reading("pod"), reading("latents")))


def log(names: tuple[str, ...], epochs: int = 5) -> pd.DataFrame:
    """Return a training log with these terms."""
    falling = 1 / np.arange(1, epochs + 1)
    columns = dict.fromkeys(("loss", *names), falling)
    return pd.DataFrame(
        {"epoch": range(epochs), **columns, "latent_scale": 2 * falling, "validation": np.nan}
    )


def test_training():
    terms = ("reconstruction", "dynamics", "decoded", "isometry", "reference", "moment", "rollout")
    figure = check(figures.model.training({"paper": log(terms[:2]), "identified": log(terms)}))
    assert [len(ax.get_lines()) for ax in figure.axes] == [2, 7, 2]


def test_what_a_model_has_determined(observed, results):
    found = results["diagnostics"]
    # Nothing is a new sweep rate to these models, so the second panel shows the first once more.
    both = {
        arm: Result(pd.concat([each.table, each.table.assign(split="new_sweep_rate")]), each.arrays)
        for arm, each in found.items()
    }
    check(figures.model.explained(both))
    check(figures.model.singular_values(found))
    check(figures.model.freedoms(results["demonstrations"], run=0))
    figure = check(figures.model.potential_and_energy(observed["identified"], (1.0, 4.0)))
    assert np.allclose(figure.axes[1].get_lines()[0].get_ydata(), observed["identified"].data.energy[3])


def test_clock():
    arrays = {
        "sweep_rate": np.array([0.005, 0.01, 0.02]),
        "explained": np.array([[-0.2, 0.8, 0.4], [0.3, 0.7, 0.5]]),
        "made_from": np.array([[False, True, False], [True, True, False]]),
    }
    (ax,) = check(figures.model.clock(Result.of([], **arrays))).axes
    filled = [line for line in ax.get_lines() if line.get_markerfacecolor() == line.get_color()]
    own = [line.get_xdata().tolist() for line in filled if line.get_marker() == "o"]
    assert own == [[0.01], [0.005, 0.01]]


def test_responses_have_a_line_for_each_member():
    members = {arm: reading(arm) for arm in ARMS}
    figure = check(figures.model.responses(members, run=0))
    styles = [line.get_linestyle() for line in figure.axes[0].get_lines()[1:6]]
    dashes = {str(line._dash_pattern) for line in figure.axes[0].get_lines()[1:6]}
    assert len(styles) == 5 == len(dashes)


def test_single_runs_in_time(results):
    curves = results["curves"]
    check(figures.forecast.potential_and_error(curves, (2.0, 4.0)))
    titles = [ax.get_title()[0] for ax in check(figures.forecast.six_frames(curves, (2.0, 4.0))).axes[:6]]
    assert "".join(titles) == "abcdef"


def test_overview(results):
    transition = reading("transition_paper")
    check(figures.forecast.overview(results["curves"], transition, (2.0, 4.0)))


def test_published_members():
    check(figures.forecast.gauge_fixed(reading("identified"), profile("paper").figure_anisotropy))
    check(
        figures.forecast.skill_by_lead(
            reading("identified"), {"identified": "arm", "lookup": "look-up", "sindy": "polynomial"}
        )
    )


# What they share


def test_nearest_takes_the_first_of_several():
    assert nearest(np.array([1.0, 2.0, 4.0, 2.0]), (2.2, 0.0, 3.9)).tolist() == [1, 0, 2]


def test_labelled_frames_stand_before_and_after_the_onset_and_at_the_end():
    time = np.tile(np.arange(11.0), (2, 1))
    points = labelled_frames(time, np.array([4.5, 0.2]))
    assert points == [(0, 3), (0, 8), (0, 10), (1, 1), (1, 4), (1, 10)]


def test_stretching_does_not_depend_on_the_unit_of_the_latent_space():
    values = np.sort(np.random.default_rng(0).random((50, 3)), axis=1)
    low, median, high = stretching(7 * values)
    assert np.allclose([low, median, high], stretching(values))
    assert (np.diff(median) < 0).all()
    assert (low <= median).all()
    assert (median <= high).all()
    assert np.allclose(stretching(np.ones((4, 2))), 1)


def test_a_value_without_an_interval_is_its_own():
    value, low, high = interval(Result.of([row("a", 2), row("a", 3, low=1, high=4)]).table)
    assert (value.tolist(), low.tolist(), high.tolist()) == ([2, 3], [2, 1], [2, 4])


def test_a_training_tells_when_its_validation_loss_was_smallest():
    watched = log(("dynamics",), epochs=6)
    watched.loc[[1, 3, 5], "validation"] = (3.0, 2.0, 5.0)
    result = training(watched, arm="identified")
    assert result.value("best_epoch") == 4
    assert result.value("epochs") == 6
    assert result.value("validation_rise") == pytest.approx(2.5)
    assert result.value("latent_growth") == pytest.approx(1 / 6)
    assert np.isnan(training(log(()), arm="paper").value("best_epoch"))


def test_colours_can_be_told_from_white():
    """WCAG 2.1 asks for a contrast of at least 4.5 of text, which lines have as well."""
    for color in (figures.style.BLUE, figures.style.RED, figures.style.GREY, figures.style.GREEN):
        parts = np.array([int(to_hex(color)[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        assert 1.05 / (linear @ (0.2126, 0.7152, 0.0722) + 0.05) >= 4.5


# Those of the test for jumps


def test_readings_of_the_onset():
    both = {arm: reading(f"transition_{arm}") for arm in ARMS}
    check(figures.transition.onset_gradient(both["paper"], both["paper"]))
    check(figures.transition.companions(both))
    check(figures.transition.moments(both["paper"]))
    check(figures.transition.smooth_and_sharp(both["paper"]))


def test_each_tested_curve_fills_its_panel_and_has_its_place():
    result = reading("transition_paper")
    rows = [
        row(metric, value, case=name)
        for name in figures.transition.TESTED
        for metric, value in (("jump_p_value", 0.2), ("jump_position", 2.05))
    ]
    tests = Result.of(rows, alphas=result.arrays["alphas"][::2])
    for ax in check(figures.transition.tested_curves(result, tests)).axes:
        curve, place = ax.get_lines()
        assert len(curve.get_xdata()) == len(tests.arrays["alphas"])
        assert np.ptp(curve.get_ydata()) == pytest.approx(1)
        assert set(place.get_xdata()) == {2.05}


def test_controls():
    power, of = reading("power"), profile("paper")
    check(figures.transition.beads(power))
    check(figures.transition.mobile_films(power, of.control(mobility=1), of.control(mobility=4)))
    check(figures.transition.hexagons(power, of.control(first_order=True).kind, end=0.5))
    beads = [k for k in of.kinds if k.system == "bead"]
    (jumps, _) = check(figures.transition.detection(power, beads)).axes
    assert [text.get_text() for text in jumps.get_xticklabels()] == [f"{k.jump:g}" for k in beads if k.jump]


def test_minima_of_the_potential_of_landau_are_those_of_its_curves():
    potentials, minima = check(figures.transition.landau()).axes
    for line in potentials.lines[:3]:
        a = float(line.get_label().removeprefix("a = "))
        x, v = line.get_data()
        lowest = x[20:][v[20:].argmin()]
        branch = minima.lines[0].get_xydata()
        if a < 1 / 3:
            assert np.interp(a, branch[::-1, 0], branch[::-1, 1]) == pytest.approx(lowest, abs=0.005)
        else:
            assert lowest == x[20]


def test_thresholds(results):
    alphas, densities = np.linspace(1, 4, 5), np.linspace(0, 0.02, 4)
    fields = {name: 1 - i / 10 - alphas / 10 for i, name in enumerate(("droplet_field", "worm_field"))}
    fields |= {name: 0.5 - i / 10 - alphas / 10 for i, name in enumerate(("critical_field", "onset_field"))}
    droplets = Result.of(
        [],
        alphas=alphas,
        fields=np.linspace(0.1, 0.2, 5),
        densities=densities,
        lattice_energy=np.outer(range(5), densities),
        **fields,
    )
    check(figures.transition.thresholds(droplets, results["patterns"]))
