"""The arms against the public recipe of the pixel Hamiltonian network, in one run.

    python benchmarks/learning.py [--save]

The recipe is written as plainly as its authors did (Greydanus, Dzamba and Yosinski, 2019): a fully
connected residual autoencoder 200 wide, a network on the latent state, batches of 200 drawn anew at each
step, differences of neighbouring frames, squared errors, Adam with 10⁻³ and a weight of 0.1 on the dynamics.
The target is what the recipe reaches at its end, in reconstruction and in the error of the exact ż; its time
is that of the first of its checks, every `CHECK` steps, that is as good.  The time of each of our arms is
that of the shortest training, out of several lengths, that reaches the target.  The error of the decoded
rate, in image units, stands beside the other two, for the units of z are each model's own.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
from record import machine, save
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from nrp.analysis.model.forecast import forecast
from nrp.evaluation import Observation, row
from nrp.pipeline import profile
from nrp.progress import progress
from nrp.reduction import ReducedModel, coverage, load_frames, load_model, train
from nrp.reduction.losses import TrainingFrames, paper_loss
from nrp.reduction.splits import trained_runs
from nrp.simulation import open_dataset, simulate
from nrp.store import Store

BOOK = profile("book")
SETTINGS = BOOK.models["paper"].settings
RECIPE = "pixel recipe"
LENGTHS = {"paper": (50, 100, 200, 300, 450), "identified": (10, 20, 40, 80, 160)}
"""Epochs that are tried of each arm; that of `identified` goes without the followed flow here."""
CHECK = 500


class MLP(nn.Module):
    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
        self.linear3, self.linear4 = nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)
        for layer in (self.linear1, self.linear2, self.linear3, self.linear4):
            nn.init.orthogonal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.linear1(x))
        h = h + torch.tanh(self.linear2(h))
        h = h + torch.tanh(self.linear3(h))
        return self.linear4(h)


class Recipe(nn.Module):
    """Stands in for a `ReducedModel` in the evaluation, too."""

    def __init__(self, pixels: int, latent: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.decoder = MLP(pixels, 200, latent), MLP(latent, 200, pixels)
        self.potential = MLP(latent + 2, 200, 1)

    def velocity(self, z: Tensor, controls: Tensor) -> Tensor:
        if not z.requires_grad:
            z = z.requires_grad_(True)
        value = self.potential(torch.cat([z, controls], dim=-1)).sum()
        return -torch.autograd.grad(value, z, create_graph=True)[0]


def run_recipe(
    images: Tensor, following: Tensor, controls: Tensor, interval: Tensor, check: Callable, steps: int
) -> list[tuple[float, tuple[float, ...]]]:
    """Return seconds and errors at each check, which is outside the clock."""
    model = Recipe(images.shape[1], SETTINGS.latent)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    checks, seconds, start = [], 0.0, time.perf_counter()
    for step in progress(range(1, steps + 1), total=steps, title=RECIPE):
        chosen = torch.randperm(images.shape[0])[:200]
        x, x_next = images[chosen], following[chosen]
        z, z_next = model.encoder(x), model.encoder(x_next)
        reconstruction = ((x - model.decoder(z)) ** 2).mean(1)
        velocity = model.velocity(z, controls[chosen])
        dynamics = (((z_next - z) / interval[chosen, None] - velocity) ** 2).mean(1)
        loss = (reconstruction + 0.1 * dynamics).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % CHECK == 0 or step == steps:
            seconds += time.perf_counter() - start
            checks.append((seconds, check(model)))
            start = time.perf_counter()
    return checks


def recipe_errors(model: Recipe, images: Tensor, rates: Tensor, controls: Tensor) -> tuple[float, ...]:
    """Return the errors of reconstruction, exact ż and decoded rate, as `forecast` defines them."""
    z, exact = (part.detach() for part in torch.func.jvp(model.encoder, (images,), (rates,)))
    velocity = model.velocity(z, controls).detach()
    with torch.no_grad():
        rebuilt, decoded = torch.func.jvp(model.decoder, (z.detach(),), (velocity,))[:2]
    return (
        (rebuilt - images).square().mean().sqrt().item(),
        *(
            ((true - guess).square().sum() / true.square().sum()).sqrt().item()
            for true, guess in ((exact, velocity), (rates, decoded))
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6000, help="of the recipe")
    parser.add_argument("--save", action="store_true", help="keep the table in published/learning_benchmark")
    options = parser.parse_args()
    about = machine("torch", "numpy")
    films = open_dataset(simulate(BOOK.datasets["films"], Store())).load()
    data = load_frames(films, trained_runs(films, SETTINGS))
    steps = data.images.shape[1] - 1
    pairs = [part[:, :steps].flatten(0, 1) for part in (data.images, data.controls)]
    following = data.images[:, 1:].flatten(0, 1)

    whole = (data.images.flatten(0, 1), data.rates.flatten(0, 1), data.controls.flatten(0, 1))
    checks = run_recipe(
        pairs[0],
        following,
        pairs[1],
        data.intervals.flatten(),
        lambda model: recipe_errors(model, *whole),
        options.steps,
    )
    last, aim = checks[-1]
    rows = _rows(RECIPE, last, 200 * options.steps, *aim)
    first = next(seconds for seconds, errors in checks if _as_good(errors, aim))
    rows.append(row("seconds", first, arm=RECIPE, case="to the target"))
    print(f"the recipe was as good after {first:.1f} s")
    for arm, lengths in LENGTHS.items():
        for epochs in lengths:
            settings = BOOK.models[arm].settings.replace(epochs=epochs, validation={}, rollout_frames=0)
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                model = load_model(train([films], settings, Store(folder)))
                ours = time.perf_counter() - start
            table = forecast([[Observation(model, films)]], far=False)
            errors = (
                table.value("reconstruction_rmse", split="trained"),
                *(
                    table.value("rate_error", split="trained", case=case, arm=arm)
                    for case in (None, "decoded")
                ),
            )
            case = None if _as_good(errors, aim) else "not as good as the recipe"
            if case is None or epochs == lengths[-1]:
                rows += _rows(arm, ours, steps * len(data.images) * epochs, *errors, case=case)
                rows.append(row("time_ratio", first / ours, arm=arm, case=case))
                print(f"the recipe takes {first / ours:.1f} times as long")
                break
            print(
                f"{arm}, {epochs} epochs: {ours:.1f} s, {', '.join(f'{e:.3f}' for e in errors)}", flush=True
            )
    rows.append(_stacked(films))
    if options.save:
        save(rows, "learning_benchmark", "make bench, python benchmarks/learning.py --save", about)


def _as_good(errors: tuple[float, ...], aim: tuple[float, ...]) -> bool:
    """Tell whether the reconstruction and the error of ż are those of the aim or smaller."""
    return errors[0] <= aim[0] and errors[1] <= aim[1]


def _rows(
    arm: str, seconds: float, images: int, rmse: float, error: float, decoded: float, **columns: object
) -> list[dict]:
    speed = f"{seconds:7.1f} s {images / seconds:9.0f} images/s"
    print(f"{arm:<14}{speed}   rmse {rmse:.4f}   rate error {error:.3f}, decoded {decoded:.3f}", flush=True)
    values = {
        "seconds": seconds,
        "images_per_second": images / seconds,
        "reconstruction_rmse": rmse,
        "rate_error": error,
        "decoded_rate_error": decoded,
    }
    return [row(name, value, arm=arm, **columns) for name, value in values.items()]


def _stacked(films, members: int = 5) -> dict:
    """Return how many times one member's step a step of several, stacked and vectorised, takes."""
    data = load_frames(films, trained_runs(films, SETTINGS))
    models = [
        ReducedModel(
            SETTINGS.replace(member=i), (films.sizes["y"], films.sizes["x"]), coverage([films], SETTINGS)
        )
        for i in range(members)
    ]
    frames, generator = TrainingFrames(models[0], [data]), torch.Generator()
    batch = frames.batch(frames.first[:200], generator)

    class Loss(nn.Module):
        def __init__(self, model: ReducedModel) -> None:
            super().__init__()
            self.model = model

        def forward(self, *parts: Tensor) -> Tensor:
            terms = paper_loss(self.model, frames, type(batch)(*parts), generator)
            return torch.stack([weight * value for weight, value in terms.values()]).sum()

    weights, buffers = stack_module_state([Loss(model) for model in models])
    skeleton = copy.deepcopy(Loss(models[0])).to("meta")

    def one(weights: dict, buffers: dict) -> Tensor:
        return functional_call(skeleton, (weights, buffers), tuple(batch))

    def single() -> None:
        Loss(models[0])(*batch).backward()
        models[0].zero_grad()

    def stacked() -> None:
        torch.func.vmap(one)(weights, buffers).sum().backward()
        for weight in weights.values():
            weight.grad = None

    times: dict[str, list[float]] = {"single": [], "stacked": []}
    for _ in range(10):
        for name, call in (("single", single), ("stacked", stacked)):
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    ratio = statistics.median(times["stacked"][2:]) / statistics.median(times["single"][2:])
    print(f"a step of {members} stacked members takes {ratio:.1f} times that of one")
    return row("time_ratio", ratio, case=f"{members} stacked members", arm="paper")


if __name__ == "__main__":
    main()
