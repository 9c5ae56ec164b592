"""The modules that compute in a page: in a real Chromium, against the package."""

import json
import threading
from functools import partial
from http.server import ThreadingHTTPServer
from importlib.resources import files

import numpy as np
import pytest
import torch
from test_browser import Quiet

from nrp.analysis.film.patterns import LABYRINTH
from nrp.analysis.images.domains import count_domains, wall_length
from nrp.analysis.transition import jumps
from nrp.book.widgets import jump_test, landscape_map, live_film
from nrp.pipeline.published import published
from nrp.reduction.potentials import GrowingPotential
from nrp.simulation import CampaignSettings, open_dataset, simulate
from nrp.systems.film import FilmSettings, draw_disorder

pytestmark = pytest.mark.browser
FILM = FilmSettings()
SWEEP = """async ([cells, anisotropy, tenth, steps]) => {
  const { Film } = await import("/live_film.js");
  const film = new Film({ cells, anisotropy });
  film.sweep(0, 0.01);
  const means = [film.mean];
  for (let step = 1; step <= steps; step++) {
    film.step();
    if (step % tenth === 0) means.push(film.mean);
  }
  const rows = Array.from({ length: 128 }, (_, y) => Array.from({ length: 128 }, (_, x) => film.at(y, x)));
  return { means, rows, onset: film.onset, time: film.time };
}"""


@pytest.fixture(scope="module")
def tab(chromium, tmp_path_factory):
    """A page beside the modules, and beside pages that hold one widget each."""
    folder = tmp_path_factory.mktemp("pages")
    for module in files("nrp.book").joinpath("javascript").iterdir():
        (folder / module.name).write_text(module.read_text(encoding="utf-8"), encoding="utf-8")
    shown = {"film": live_film(), "map": landscape_map(published("map")[0]), "test": jump_test()}
    for name, widget in shown.items():
        (folder / f"{name}.html").write_text(
            f"<!doctype html><meta charset='utf-8'><title>{name}</title>{widget.data}", encoding="utf-8"
        )
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever).start()
        tab = chromium.new_page(viewport={"width": 1280, "height": 900})
        tab.errors = []
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.address = f"http://127.0.0.1:{server.server_port}"
        yield tab
        tab.close()
        server.shutdown()


def opened(tab, name: str):
    tab.errors.clear()
    tab.goto(f"{tab.address}/{name}.html", wait_until="networkidle")
    return tab


@pytest.mark.parametrize(("anisotropy", "is_labyrinth"), [(1.0, True), (2.0, False)])
def test_the_film_of_the_page_is_that_of_the_package(tab, store, anisotropy, is_labyrinth):
    opened(tab, "film")
    campaign = CampaignSettings(system=FILM, anisotropy=anisotropy, frames=21)
    data = open_dataset(simulate(campaign, store, workers=1))
    cells = draw_disorder(FilmSettings(dx=1.0), seed=0, sample=0).ravel().tolist()
    step = 0.15 / anisotropy
    tenth = round(15 / step)
    found = tab.evaluate(SWEEP, [cells, anisotropy, tenth, 20 * tenth])
    expected = data["magnetization"].mean(("y", "x"))[0].values
    np.testing.assert_allclose(found["means"], expected, atol=2e-3)
    assert found["onset"] == pytest.approx(float(data["onset_time"][0]), abs=0.05)
    # What forms is counted in the page's own film: islands are many and round, a labyrinth is long.
    image = np.array(found["rows"])
    down = image < 0
    stretch = wall_length(image, 0.5) ** 2 / (4 * np.pi * count_domains(down) * down.sum() * 0.5**2)
    assert (stretch > LABYRINTH) == is_labyrinth


def test_the_potential_of_the_page_is_that_of_the_package(tab):
    opened(tab, "map")
    result, _ = published("map")
    network = GrowingPotential(2, 2, 64, "linear").double()
    weights = {
        name[7:]: torch.from_numpy(v) for name, v in result.arrays.items() if name.startswith("weight ")
    }
    network.load_state_dict(weights)
    random = np.random.default_rng(0)
    z = np.stack([random.uniform(*axis, 20) for axis in result.arrays["extent"]], axis=1)
    controls = np.stack([random.uniform(1, 4, 20), random.uniform(0, 1.5, 20)], axis=1)
    values, slopes = tab.evaluate(
        """async ([z, controls]) => {
          const { Potential } = await import("/landscape.js");
          const state = JSON.parse(document.querySelector("script").textContent
            .match(/^const state = (.*), listeners = \\{\\};$/m)[1]);
          const potential = new Potential(state.weights);
          return [z.map((at, k) => potential.value(at, ...controls[k])),
                  z.map((at, k) => potential.gradient(at, ...controls[k]))];
        }""",
        [z.tolist(), controls.tolist()],
    )
    states, at = torch.from_numpy(z), torch.from_numpy(controls)
    with torch.no_grad():
        np.testing.assert_allclose(values, network(states, at).numpy(), atol=1e-9)
        np.testing.assert_allclose(slopes, network.gradient(states, at).numpy(), atol=1e-9)


@pytest.mark.parametrize(("size", "scatter"), [(0.0, 0.05), (0.5, 0.05), (0.3, 0.1)])
def test_the_test_of_the_page_is_that_of_the_package(tab, size, scatter):
    opened(tab, "test")
    x = np.round(np.arange(1, 4.01, 0.1), 10)
    noise = scatter * np.random.default_rng(3).normal(size=len(x))
    y = (x - 1) / 3 + 0.1 * np.sin(2 * x) + size * (x > 2.55) + noise
    found = tab.evaluate(
        """async (y) => {
          const { makeShapes, weigh, fit } = await import("/jump.js");
          const shapes = makeShapes(), found = weigh(y, shapes), best = shapes.jumping[found.best.jumping];
          return [found.statistic, best.place, fit(y, shapes, best).size];
        }""",
        y.tolist(),
    )
    weighed = jumps.weigh(x, y, power=False)
    assert found[1:] == pytest.approx([weighed.position, weighed.jump], abs=1e-9)
    shapes = jumps._shapes(tuple(x.tolist()), tuple(np.ones_like(x).tolist()))
    likelihood, _ = jumps._likelihoods((y - y.mean())[None], shapes)
    assert found[0] == pytest.approx(float(jumps._statistic(likelihood)[0]), abs=1e-9)


PICTURES = "() => [...document.querySelectorAll('canvas')].map(each => each.toDataURL()).join()"


@pytest.mark.parametrize(
    ("name", "sliders"),
    [
        ("film", ["h", "α"]),
        ("map", ["anisotropy α", "external field h"]),
        ("test", ["size", "place", "scatter"]),
    ],
)
def test_every_slider_is_moved_by_the_keyboard(tab, name, sliders):
    opened(tab, name)
    tab.wait_for_timeout(300)
    inputs = tab.locator("input[type=range]")
    assert inputs.count() >= len(sliders)
    labels = " ".join(
        inputs.nth(i).evaluate("each => each.labels[0].textContent") for i in range(inputs.count())
    )
    for words in sliders:
        assert words in labels
    for number in range(inputs.count()):
        slider = inputs.nth(number)
        before, value = tab.evaluate(PICTURES), slider.input_value()
        slider.focus()
        assert slider.evaluate("each => getComputedStyle(each).outlineStyle") != "none"
        low = slider.evaluate("each => each.value === each.max")
        slider.press("ArrowLeft" if low else "ArrowRight")
        assert slider.input_value() != value
        if name != "film" or number == 0:  # a film at rest shows neither its rate nor its disorder
            tab.wait_for_function(f"before => ({PICTURES})() !== before", arg=before)
    assert tab.errors == []


def test_the_live_film_runs_the_sweep_and_stops(tab):
    opened(tab, "film")
    film = tab.locator("#nrp-live_film")
    assert json.loads(film.get_attribute("data-running")) is False
    tab.locator("select").select_option("10000")
    tab.get_by_role("button", name="Run the paper’s sweep").click()
    tab.wait_for_function("document.querySelector('#nrp-live_film').dataset.onset !== 'NaN'", timeout=120_000)
    assert 80 < float(film.get_attribute("data-onset")) < 86  # as in the package, for the first sample
    tab.get_by_role("button", name="Pause").click()
    time = film.get_attribute("data-time")
    tab.wait_for_timeout(300)
    assert film.get_attribute("data-time") == time
    assert "Structure factor" in tab.locator("canvas").nth(1).get_attribute("aria-label")
    assert tab.errors == []


def test_the_state_rolls_beside_the_film(tab):
    opened(tab, "map")
    tab.get_by_role("button", name="Let the state roll").click()
    tab.wait_for_function("Number(document.querySelector('#nrp-landscape').dataset.rolled) > 1")
    tab.wait_for_function("document.querySelector('#nrp-landscape').dataset.missed !== ''")
    assert float(tab.locator("#nrp-landscape").get_attribute("data-missed")) < 1.5
    assert tab.errors == []
