"""Models: parts that compose, derivatives, settings that fit together, and what is stored."""

from collections.abc import Callable

import pytest
import torch

from nrp.base import InvalidSetting
from nrp.reduction import ModelSettings, ReducedModel, Runs, load_frames, load_model
from nrp.reduction.networks import ResidualMLP
from nrp.reduction.splits import coverage

PIXELS, LATENT = 36, 3

SMALL = ModelSettings(latent=LATENT, width=16, epochs=8, batch=20, held=Runs(anisotropy=(2.0,)))

COMBINATIONS = [
    {"encoder": "dense"},
    {"encoder": "dense", "modes": 12},
    {"encoder": "pod"},
    {"potential": "energy", "modes": 12},
]


def with_threads(threads: int, make: Callable[[], ReducedModel]) -> dict[str, torch.Tensor]:
    """The weights of a model that is made with so many threads of torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return make().state_dict()
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(20, 64) @ torch.randn(64, 64) / 8


def built(parts: dict, images: torch.Tensor, **options) -> ReducedModel:
    settings = ModelSettings(latent=LATENT, **{"width": 16} | parts)
    model = ReducedModel(settings, (8, 8), {}, **options)
    model.fit(images)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return model.double()


@pytest.mark.parametrize("parts", COMBINATIONS, ids=lambda parts: "-".join(map(str, parts.values())))
def test_parts_compose_and_rates_are_derivatives(images, parts):
    model, x = built(parts, images), images[:5].double()
    rate, step = torch.randn(5, 64, dtype=torch.float64), 1e-6
    z = model.encode(x)
    assert z.shape == (5, LATENT)
    assert model.decode(z).shape == (5, 64)
    slope = (model.encode(x + step * rate) - model.encode(x - step * rate)) / (2 * step)
    torch.testing.assert_close(model.latent_rate(x, rate), slope, atol=1e-6, rtol=1e-5)
    motion = torch.randn(5, LATENT, dtype=torch.float64)
    moved = (model.decode(z + step * motion) - model.decode(z - step * motion)) / (2 * step)
    torch.testing.assert_close(model.image_rate(z, motion), moved, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("arm", ["paper", "identified"])
def test_first_weights_do_not_depend_on_the_number_of_threads(arm):
    settings = ModelSettings(arm=arm)
    one, two = (with_threads(n, lambda: ReducedModel(settings, (32, 32), {})) for n in (1, 2))
    other = ReducedModel(settings.replace(member=1), (32, 32), {}).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["autoencoder.encoder.first.weight"], other["autoencoder.encoder.first.weight"])


@pytest.mark.parametrize("potential", ["free", "energy", "none"])
def test_only_a_free_field_has_a_curl(images, potential):
    model = built({"potential": potential}, images)
    z, controls = torch.randn(LATENT).double(), torch.rand(2).double()
    jacobian = torch.func.jacrev(lambda state: model.velocity(state, controls))(z)
    curl = (jacobian - jacobian.mT).abs().max()
    assert (curl > 1e-3) if potential == "none" else (curl < 1e-12)
    assert jacobian.abs().max() > 1e-3


def test_curvature_is_the_derivative_of_the_slope(images):
    model = built({"potential": "energy"}, images)
    z, controls = torch.randn(4, LATENT).double(), torch.rand(4, 2).double()
    found = model.curvature(z, controls)
    shift = torch.zeros(LATENT, dtype=torch.float64)
    shift[1] = 1e-5
    column = (model.slope(z + shift, controls) - model.slope(z - shift, controls)) / 2e-5
    torch.testing.assert_close(found[:, :, 1], column, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found, found.mT)


@pytest.mark.parametrize("potential", ["free", "energy", "linear", "growing"])
def test_the_slope_is_the_gradient_of_the_potential(images, potential):
    model = built({"potential": potential}, images).double()
    z, controls = torch.randn(3, 4, LATENT).double(), torch.rand(3, 4, 2).double()
    gradient = torch.func.grad(lambda state: model.potential(state, controls).sum())(z)
    torch.testing.assert_close(model.slope(z, controls), gradient, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("outputs", [1, 2])
def test_the_gradient_of_a_network_can_be_trained_through(outputs):
    network = ResidualMLP(3, 5, outputs).double()
    x, weights = (torch.randn(2, 4, n, dtype=torch.double, requires_grad=True) for n in (3, outputs))
    by_torch = torch.func.grad(lambda state: (network(state) * weights).sum())(x)
    torch.testing.assert_close(network.gradient(x, weights), by_torch)
    with torch.no_grad():
        torch.testing.assert_close(network.gradient(x, weights), by_torch)

    # The derivatives by all weights are those of torch, which differentiates its own gradient.
    def total(of: torch.Tensor) -> torch.Tensor:
        return (of * torch.linspace(1, 2, of.numel(), dtype=torch.double).reshape(of.shape)).sum()

    value = (network(x) * weights).sum()
    twice = torch.autograd.grad(value, x, create_graph=True)[0]
    wanted = torch.autograd.grad(total(twice), [x, weights, *network.parameters()], allow_unused=True)
    found = torch.autograd.grad(
        total(network.gradient(x, weights)), [x, weights, *network.parameters()], allow_unused=True
    )
    for one, other in zip(found, wanted, strict=True):
        if other is not None:
            torch.testing.assert_close(one, other)
    assert sum(other is not None for other in wanted) == 9


@pytest.mark.parametrize("mobility", ["scalar", "full"])
def test_a_mobility_turns_the_force_but_never_uphill(images, mobility):
    model = built({"loss": "identified", "potential": "linear", "mobility": mobility}, images)
    for weight in model.mobility.network.last.parameters():
        torch.nn.init.normal_(weight)  # which begins small
    z, controls = torch.randn(50, LATENT).double(), torch.rand(50, 2).double()
    force = -model.slope(z, controls)
    velocity = model.velocity(z, controls)
    assert ((velocity * force).sum(dim=1) > 0).all()
    along = torch.nn.functional.cosine_similarity(velocity, force)
    assert (along > 1 - 1e-9).all() if mobility == "scalar" else (along < 0.99).any()
    assert not torch.allclose(velocity, force, rtol=0.1)
    # The matrix is symmetric: a force b gains from a what a gains from b.
    a, b = torch.randn(2, 50, LATENT).double()
    gains = [(one * model.mobility(z, controls, other)).sum(dim=1) for one, other in ((a, b), (b, a))]
    torch.testing.assert_close(*gains)


def test_metric_is_one_where_the_decoder_keeps_lengths(images):
    model = built({"encoder": "pod"}, images)
    z = model.encode(images[:3].double())
    torch.testing.assert_close(model.metric(z), torch.eye(LATENT, dtype=torch.float64).expand(3, -1, -1))
    # A step of z is then the rms change of the image.
    step = torch.tensor([0.3, 0.0, 0.4], dtype=torch.float64)
    change = model.decode(z + step) - model.decode(z)
    assert change.square().mean(-1).sqrt().tolist() == pytest.approx([0.5] * 3)


def test_energy_potential_is_linear_in_the_field_and_grows(images):
    model = built({"potential": "energy"}, images, controls=3)
    z, alpha, further = torch.randn(6, LATENT).double(), torch.full((6, 1), 2.0), torch.rand(6, 1)
    values = [
        model.potential(z, torch.cat([alpha, torch.full((6, 1), h), further], 1).double())
        for h in (0.0, 1.0, 3.0)
    ]
    torch.testing.assert_close(values[2] - values[0], 3 * (values[1] - values[0]))
    torch.testing.assert_close(values[0] - values[1], model.potential_network.magnetization(z, alpha))
    other = model.potential(z, torch.cat([alpha, torch.zeros(6, 1), further + 1], 1).double())
    assert not torch.allclose(other, values[0])
    far = model.potential(1e4 * z, torch.cat([alpha, torch.ones(6, 1), further], 1).double())
    assert (far > 1e4).all()


@pytest.fixture
def model() -> ReducedModel:
    return ReducedModel(SMALL, (6, 6), {})


def test_force_is_minus_the_gradient_of_the_potential(model):
    model = model.double()
    z, controls = torch.randn(5, LATENT, dtype=torch.float64), torch.rand(5, 2, dtype=torch.float64)
    step = 1e-5
    for axis in range(LATENT):
        shift = torch.zeros(LATENT, dtype=torch.float64)
        shift[axis] = step
        slope = (model.potential(z + shift, controls) - model.potential(z - shift, controls)) / (2 * step)
        torch.testing.assert_close(model.velocity(z, controls)[:, axis], -slope, atol=1e-8, rtol=1e-6)


def test_latent_rate_is_the_derivative_along_the_image_rate(model):
    model = model.double()
    images, rates = torch.randn(2, 4, PIXELS, dtype=torch.float64)
    step = 1e-6
    slope = (model.encode(images + step * rates) - model.encode(images - step * rates)) / (2 * step)
    torch.testing.assert_close(model.latent_rate(images, rates), slope, atol=1e-7, rtol=1e-6)


def test_step_moves_down_the_potential(model):
    z, controls = torch.randn(20, LATENT), torch.rand(20, 2)
    moved = model.step(z, controls, torch.full((20,), 1e-3))
    assert (model.potential(moved, controls) < model.potential(z, controls)).all()


def test_stored_model_is_the_model(blob, tmp_path):
    model = ReducedModel(SMALL, (6, 6), coverage([blob], SMALL))
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    images = load_frames(blob).images
    assert torch.equal(loaded.encode(images), model.encode(images))
    assert loaded.settings == SMALL
    assert loaded.trained_on == {"anisotropy": [1.0, 3.0], "sample": [0], "sweep_rate": [0.2]}


@pytest.mark.parametrize("content", [None, "{", '{"pixels": 3}'])
def test_what_is_no_model_is_refused_in_one_line(tmp_path, content):
    if content:
        (tmp_path / "settings.json").write_text(content)
    with pytest.raises(InvalidSetting, match="model = ") as error:
        load_model(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        ({"encoder": "pod", "modes": 40}, "modes = 40: must be 0 or latent = 32 with the encoder pod"),
        ({"modes": 8}, "latent = 32: must be at most modes = 8"),
        ({"loss": "identified"}, "potential = 'free': must grow, or be 'none', with the loss identified"),
        (
            {"arm": "descriptors", "potential": "none", "mobility": "full"},
            "mobility = 'full': needs a potential and the loss identified",
        ),
        ({"arm": "best"}, "arm = 'best': input should be 'paper', 'identified' or 'descriptors'"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(parts, line):
    with pytest.raises(InvalidSetting, match=line):
        ModelSettings.parse(parts)


def test_an_arm_is_a_choice_of_parts_that_can_be_changed():
    arm = ModelSettings(arm="identified")
    assert (arm.loss, arm.potential, arm.optimizer) == ("identified", "energy", "muon")
    assert ModelSettings(arm="identified", optimizer="adam").optimizer == "adam"
