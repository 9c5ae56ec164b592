"""The command line: the functions of the book from a shell.

What cannot be allowed ends with one line and exit status 2, what goes wrong on the way with status 1.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from nrp import __version__
from nrp.base import InvalidSetting
from nrp.pipeline.profiles import Profile, profile
from nrp.reduction.settings import ARMS
from nrp.simulation.settings import CampaignSettings
from nrp.store import Store, check_target, copy_out

if TYPE_CHECKING:
    import xarray as xr


class _Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        if getattr(options, "out", None):
            check_target(options.out)
        options.run(options, profile(options.profile))
    except InvalidSetting as error:
        print(f"nrp {options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"nrp {options.command}: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except (ArithmeticError, OSError, RuntimeError) as error:
        print(f"nrp {options.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="nrp", description="Neural reduced potentials: simulate, train, evaluate, build.")
    parser.add_argument("--version", action="version", version=f"nrp {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--profile", default="book", help="mini, book (default) or paper")
        sub.set_defaults(run=run)
        return sub

    sub = command("simulate", _simulate, "Simulate films of the magnetic system.")
    sub.add_argument("--alpha", type=float, action="append", help="anisotropy; may be repeated")
    sub.add_argument("--sample", type=int, action="append", help="disorder sample; may be repeated")
    sub.add_argument("--sweep-rate", type=float, action="append", help="field per time; may be repeated")
    sub.add_argument("--box", type=float, nargs="+", help="side of the periodic box, or both (y x)")
    sub.add_argument("--dx", type=float, help="grid spacing, in units of length")
    sub.add_argument("--coarsen", type=int, help="average frames over blocks of so many points")
    sub.add_argument("--disorder", help="reading of the disorder: quarter, unit_mean, zero_mean, none")
    sub.add_argument("--start", help="first state: equilibrium, uniform or random")
    sub.add_argument("--start-level", type=float, help="value of a uniform start, bound of a random one")
    sub.add_argument("--noise", type=float, help="standard deviation of noise on the first state")
    sub.add_argument("--field-init", type=float, help="external field before the sweep")
    sub.add_argument("--field-final", type=float, help="external field at the end of the sweep")
    sub.add_argument("--loop", action="store_true", default=None, help="sweep the field back again")
    sub.add_argument("--field-table", type=Path, help="table of time and field (CSV) instead of a sweep")
    sub.add_argument(
        "--continue",
        type=Path,
        dest="stored",
        help="Zarr store whose runs go on, under their field, or with --sweep-rate from their last field",
    )
    sub.add_argument(
        "--duration", type=float, help="length of a run; up to twice the time of the sweep if left out"
    )
    sub.add_argument("--every", type=float, help="time between frames")
    sub.add_argument("--scheme", help="sbdf4 or etdrk4")
    sub.add_argument("--tolerance", type=float, help="relative error that decides the time step")
    sub.add_argument("--time-step", type=float, help="largest time step, if not decided by the tolerance")
    sub.add_argument("--memory", type=float, help="gigabytes that all runs may take; all if left out")
    sub.add_argument("--workers", type=int, help="processes; one per core if left out")
    sub.add_argument("--out", type=Path, help="where the Zarr store is copied to")

    sub = command("train", _train, "Train the networks of an arm on films.")
    sub.add_argument("--data", type=Path, action="append", required=True, help="Zarr store; may be repeated")
    sub.add_argument("--arm", default="paper", help="paper (default) or identified")
    sub.add_argument("--encoder", help="dense, convolutional or pod")
    sub.add_argument("--modes", type=int, help="POD coefficients that the networks see; 0 for the pixels")
    sub.add_argument("--potential", help="free or energy: U(z, α) − h·M(z)")
    sub.add_argument("--mobility", help="identity, pullback or learned")
    sub.add_argument("--loss", help="paper or identified")
    sub.add_argument("--latent", type=int, help="dimension of the latent state")
    sub.add_argument("--dynamics-weight", type=float, help="λ of Eq. (2)")
    sub.add_argument("--epochs", type=int)
    sub.add_argument("--patience", type=int, help="epochs without improvement after which training stops")
    sub.add_argument("--member", type=int, help="seed of the weights and of the batches")
    sub.add_argument("--members", type=int, default=1, help="train so many, with seeds from --member on")
    sub.add_argument("--workers", type=int, help="processes; one per core if left out")
    sub.add_argument(
        "--hold-alpha", type=float, action="append", help="anisotropy not to train on (book: 1.2, 1.7, …)"
    )
    sub.add_argument("--validate-alpha", type=float, action="append", help="anisotropy to validate on")
    sub.add_argument(
        "--out", type=Path, help="folder that the model is copied to (several: _0, _1, … is added)"
    )

    sub = command("evaluate", _evaluate, "Print the errors of a model on films, split by split.")
    sub.add_argument("--model", type=Path, required=True, help="folder made by nrp train")
    sub.add_argument("--data", type=Path, action="append", required=True, help="Zarr store; may be repeated")
    sub.add_argument("--json", action="store_true", help="print the rows as one JSON list")

    sub = command("chapter", _chapter, "Run a chapter, or list them.")
    sub.add_argument("name", nargs="?", help="such as 06_validation")
    sub.add_argument("--list", action="store_true", help="list the chapters")
    sub.add_argument(
        "-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set a parameter"
    )

    sub = command("book", _book, "Run all chapters and build the HTML.")
    sub.add_argument("--offline", action="store_true", help="pages that ask nothing of the network (npm)")

    command("publish", _publish, "Train all members and write what published/ holds (profile paper).")

    sub = command("results", _results, "Print every number of the book that has been computed.")
    sub.add_argument("--json", action="store_true", help="print the rows as one JSON list")

    sub = command("store", _store, "List, verify or prune the stored results.")
    sub.add_argument(
        "action",
        choices=("list", "verify", "prune"),
        help="prune removes all but what the profiles ask for, your own runs and models among it",
    )
    return parser


def _simulate(options: argparse.Namespace, chosen: Profile) -> None:
    from nrp.simulation import open_dataset, settings_of, simulate

    for name in ("workers", "memory"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise InvalidSetting(f"{name} = {value}: must be finite and greater than 0")
    films = chosen.datasets["films"]
    gone_on: dict[str, object] = {}
    if options.stored is not None:
        stored = open_dataset(options.stored)
        films, gone_on = settings_of(stored), _goes_on(options, stored)
    changes = _given(options, "dx", "coarsen", "disorder", "start", "start_level", "noise")
    if options.box is not None:
        changes["box"] = options.box if len(options.box) > 1 else options.box[0]
    system = films.system.replace(**changes)
    changes = _given(options, "sweep_rate", "sample", "field_init", "field_final", "duration")
    changes |= _given(options, "scheme", "tolerance", "time_step", anisotropy="alpha", field_loop="loop")
    changes |= gone_on
    if options.field_table is not None:
        changes |= {"field_table": _table(options.field_table), "sweep_rate": options.sweep_rate or (0.0,)}
    campaign = films.replace(system=system, **changes)
    if options.every is not None:
        campaign = campaign.replace(frames=_frames(campaign, options.every))
    path = simulate(campaign, Store(), start=options.stored, workers=options.workers, memory=options.memory)
    if options.out:
        copy_out(path, options.out)
    print(options.out or path)


def _goes_on(options: argparse.Namespace, stored: xr.Dataset) -> dict[str, object]:
    """Return the settings with which stored runs go on: under their field, or from where it has come to."""
    begin = float(stored.time.max())
    changes: dict[str, object] = {"begin": begin, "duration": options.duration}
    for name, given in (("anisotropy", options.alpha), ("sample", options.sample)):
        changes[name] = given or np.unique(stored[name].values).tolist()
    if options.sweep_rate is None or options.field_table is not None:
        return changes
    last = np.unique(stored.external_field.values[:, -1])
    if len(options.sweep_rate) > 1 or len(last) > 1:
        raise InvalidSetting(f"sweep_rate = {options.sweep_rate}: must be one, and the runs end in one field")
    rate, first = options.sweep_rate[0], float(last[0])
    if not 0 <= rate < math.inf:
        raise InvalidSetting(f"sweep_rate = {rate}: must be finite and at least 0")
    final = 0.0 if options.field_final is None else options.field_final
    changes |= {"field_init": first, "field_loop": False, "field_table": (), "sweep_rate": (0.0,)}
    if options.field_init is not None or options.loop:
        raise InvalidSetting("continue: a new sweep begins at the last field; no --field-init and no --loop")
    if rate > 0:
        changes["field_table"] = ((begin, first), (begin + abs(first - final) / rate, final))
    return changes


def _table(path: Path) -> tuple[tuple[float, float], ...]:
    """Return the rows of a CSV file with the columns time and field."""
    wanted = f"field_table = {str(path)!r}: must hold lines of two numbers, time and field, and no header"
    try:
        lines = [line.split(",") for line in path.read_text().splitlines() if line.strip()]
        table = tuple((float(time), float(field)) for time, field in lines)
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"{wanted} ({error})") from None
    if not table:
        raise InvalidSetting(f"{wanted} (it is empty)")
    return table


def _frames(campaign: CampaignSettings, every: float) -> int:
    """Return the number of frames that lie so far apart."""
    lengths = {campaign.end(rate) - campaign.begin for rate in campaign.sweep_rate}
    if len(lengths) > 1:
        raise InvalidSetting(f"every = {every}: needs runs of one length, so a single sweep rate")
    length = lengths.pop()
    if not 0 < every <= length or abs(length / every - round(length / every)) > 1e-6:
        raise InvalidSetting(f"every = {every}: must divide the duration {length:g} of a run")
    return round(length / every) + 1


def _train(options: argparse.Namespace, chosen: Profile) -> None:
    from nrp.reduction import train_members
    from nrp.reduction.splits import check_anisotropies
    from nrp.simulation import open_dataset

    if options.arm not in ARMS:
        raise InvalidSetting(f"arm = {options.arm!r}: must be one of {', '.join(ARMS)}")
    for name in ("members", "workers"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise InvalidSetting(f"{name} = {getattr(options, name)}: must be at least 1")
    changes = _given(options, "encoder", "modes", "potential", "mobility", "loss", "latent", "epochs")
    changes |= _given(options, "patience", "member", "dynamics_weight")
    if options.encoder in ("convolutional", "pod"):
        changes.setdefault("modes", 0)
    data = [open_dataset(path) for path in options.data]
    for role, option in (("held", "hold_alpha"), ("validation", "validate_alpha")):
        if (given := getattr(options, option)) is not None:
            check_anisotropies(data, option, given)
            changes[role] = {"anisotropy": given}
    settings = chosen.models[options.arm].settings.replace(**changes)
    folders = train_members(options.data, settings, options.members, Store(), workers=options.workers)
    for member, folder in enumerate(folders, start=settings.member):
        if options.out:
            several = len(folders) > 1
            target = options.out.with_name(f"{options.out.name}_{member}") if several else options.out
            copy_out(folder, target)
            folder = target
        print(folder)


def _evaluate(options: argparse.Namespace, _: Profile) -> None:
    from nrp.analysis.model.forecast import forecast
    from nrp.evaluation import Observation
    from nrp.reduction import load_model
    from nrp.simulation import open_dataset

    model, data = load_model(options.model), [open_dataset(path) for path in options.data]
    result = forecast([[Observation(model, each) for each in data]])
    seen = model.trained_on["anisotropy"]
    found = sorted({alpha for each in data for alpha in each.anisotropy.values.tolist()})
    if outside := [alpha for alpha in found if not min(seen) <= alpha <= max(seen)]:
        where = f"lies outside {min(seen):g} to {max(seen):g}, where the model was trained"
        print(f"nrp evaluate: warning: anisotropy = {outside}: {where}", file=sys.stderr)
    _print_rows(result.records(), as_json=options.json)


def _chapter(options: argparse.Namespace, chosen: Profile) -> None:
    from nrp.book.chapters import chapter_names, run_chapter

    if options.list:
        print("\n".join(chapter_names(_root())))
        return
    if options.name is None:
        raise InvalidSetting("chapter: must be named (nrp chapter --list shows the names)")
    parameters = {"profile": chosen.name} | dict(options.p)
    print(run_chapter(options.name, parameters, root=_root(), store=Store()))


def _book(options: argparse.Namespace, chosen: Profile) -> None:
    from nrp.book.build import build_book

    print(build_book(chosen.name, root=_root(), store=Store(), offline=options.offline))


def _publish(options: argparse.Namespace, chosen: Profile) -> None:
    from nrp.pipeline import Study

    for folder in Study(chosen.name).publish():
        print(folder)


def _results(options: argparse.Namespace, chosen: Profile) -> None:
    from nrp.pipeline import Study

    _print_rows(Study(chosen.name).stored_rows(), as_json=options.json)


def _store(options: argparse.Namespace, _: Profile) -> None:
    from nrp.pipeline import Study

    store = Store()
    if options.action == "list":
        for path, record in store.entries():
            print(f"{path.parent.name}/{path.name}  {record['finished']}  {record['seconds']:.1f} s")
    elif options.action == "verify":
        if wrong := store.verify():
            raise RuntimeError("; ".join(wrong))
        print("every stored result is as it was stored")
    else:
        keep = set.union(*(Study(name, store).keys() for name in ("mini", "book", "paper")))
        for name in store.prune(keep):
            print(f"removed {name}")


def _given(options: argparse.Namespace, *names: str, **renamed: str) -> dict[str, object]:
    """Return the options that were given, under the names of settings."""
    pairs = {name: getattr(options, name) for name in names}
    pairs |= {setting: getattr(options, option) for setting, option in renamed.items()}
    return {name: value for name, value in pairs.items() if value is not None}


def _root() -> Path:
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "_toc.yml").is_file():
            return folder
    raise InvalidSetting(f"folder = {str(here)!r}: must lie in a copy of the book, with its _toc.yml")


def _print_rows(rows: list[dict], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for entry in rows:
        place = [
            f"{entry[name]}" for name in ("case", "arm", "split", "anisotropy") if entry[name] is not None
        ]
        if entry["lead_time"] is not None:
            place.append(f"{entry['lead_time']:g} frames" if entry["lead_time"] > 1 else "1 frame")
        value = "–" if entry["value"] is None else f"{entry['value']:.6g}"
        print(f"{entry['metric']:<28} {' '.join(place):<44} {value}")


if __name__ == "__main__":
    sys.exit(main())
