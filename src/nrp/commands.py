"""The commands of `nrp`: their arguments, and what they do.

The options of `simulate` and `train` are the settings themselves, with their docstrings.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nrp import __version__
from nrp.analysis.model.forecast import forecast
from nrp.base import Count, InvalidSetting, Positive, Settings
from nrp.evaluation import Observation, Result
from nrp.options import Parser, add_settings, given
from nrp.outputs import check_target, copy_out
from nrp.pipeline import Profile, Study
from nrp.pipeline.profiles import PROFILES
from nrp.reduction import ModelSettings, load_model, train_many
from nrp.reduction.splits import check_anisotropies, outside
from nrp.simulation import CampaignSettings, continued, open_dataset, simulate
from nrp.simulation.external_field import read_table
from nrp.store import Store, book_root
from nrp.systems import DEFAULT_SYSTEM

_FILM = DEFAULT_SYSTEM.settings_type
_NAMES: dict[str, Any] = {
    "short": {"anisotropy": "alpha", "field_loop": "loop"},
    "without": ("system", "begin", "frames", "held", "validation"),
    "files": {"field_table": "CSV file of times and fields, without header."},
}


class _Means(Settings):
    """With what a command works."""

    workers: Count | None = None
    """Processes; one per core if left out."""
    memory: Positive | None = None
    """Gigabytes that all runs may take; all of the machine if left out."""
    members: Count = 1
    """Number of members to train, with seeds from --member on."""


def parser() -> Parser:
    """Return the parser of the command line."""
    top = Parser(prog="nrp", description="Neural reduced potentials: simulate, train, evaluate, build.")
    top.add_argument("--version", action="version", version=f"nrp {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(run: Callable, text: str, *, parallel: bool = True) -> Parser:
        sub = commands.add_parser(run.__name__.removeprefix("_"), help=text, description=text)
        sub.add_argument("--profile", default="book", help="mini, book (default) or paper")
        if parallel:
            where = "run the tasks by Dask: tcp://HOST:PORT of a scheduler, or local:N processes"
            sub.add_argument("--scheduler", help=where)
        sub.set_defaults(run=run)
        return sub

    data = dict[str, Any](type=Path, action="append", required=True, help="Zarr store; may be repeated")
    as_json = dict[str, Any](action="store_true", help="print the rows as one JSON list")

    sub = command(_simulate, "Simulate films of the magnetic system.")
    add_settings(sub, CampaignSettings, **_NAMES)
    add_settings(sub, _FILM, **_NAMES)
    text = "Zarr store whose runs continue, under their field, or with --sweep-rate from their last field"
    sub.add_argument("--continue", type=Path, dest="stored", help=text)
    sub.add_argument("--every", type=float, help="time between frames")
    add_settings(sub, _Means, **_NAMES | {"without": ("members",)})
    sub.add_argument("--out", type=Path, help="where the Zarr store is copied to")

    sub = command(_train, "Train the networks of an arm on films.")
    sub.add_argument("--data", **data)
    add_settings(sub, ModelSettings, **_NAMES)
    for option, text in (
        ("--hold-alpha", "anisotropy not to train on"),
        ("--validate-alpha", "to validate on"),
    ):
        sub.add_argument(option, type=float, action="append", help=f"{text}; may be repeated")
    add_settings(sub, _Means, **_NAMES | {"without": ("memory",)})
    text = "folder that the model is copied to; of several members, with _0, _1, … after its name"
    sub.add_argument("--out", type=Path, help=text)

    sub = command(_evaluate, "Print the errors of a model on films, split by split.", parallel=False)
    sub.add_argument("--model", type=Path, required=True, help="folder made by nrp train")
    sub.add_argument("--data", **data)
    sub.add_argument("--json", **as_json)

    sub = command(_chapter, "Run a chapter, or list all of them, or the parameters of one.")
    sub.add_argument("name", nargs="?", help="such as 06_validation")
    sub.add_argument("--list", action="store_true", help="list the chapters, or the parameters of this one")
    pair = dict[str, Any](nargs=2, metavar=("NAME", "VALUE"), help="set a parameter; may be repeated")
    sub.add_argument("-p", action="append", default=[], **pair)

    sub = command(_book, "Run all chapters and build the HTML.")
    sub.add_argument("--pdf", action="store_true", help="print the whole book, too (needs Chromium)")

    command(_publish, "Train all members and write what published/ holds (profile paper).")

    sub = command(_results, "Print the numbers of the book that have been computed.", parallel=False)
    sub.add_argument("metric", nargs="*", help="only these metrics, such as rollout_error; all by default")
    sub.add_argument("--json", **as_json)

    sub = command(_store, "List, verify or prune the stored results.", parallel=False)
    text = "prune removes what is damaged, and all but what the profiles ask for, your own models among it"
    sub.add_argument("action", choices=("list", "verify", "prune"), help=text)
    sub.add_argument(
        "--dry-run", action="store_true", help="print what prune would remove, and remove nothing"
    )
    return top


def _simulate(options: argparse.Namespace, chosen: Profile) -> None:
    means, changes = _Means.parse(given(options, _Means)), given(options, CampaignSettings, _FILM)
    inputs = [path for path in (options.stored, options.field_table) if path]
    store, targets = Store(), [] if options.out is None else [options.out]
    _check_targets(targets, "dataset", store, inputs)
    if options.box and len(options.box) == 1:
        changes["box"] = options.box[0]
    if options.field_table:
        changes = {"sweep_rate": (0.0,)} | changes | {"field_table": read_table(options.field_table)}
    if options.stored:
        campaign = continued(open_dataset(options.stored), changes)
    else:
        campaign = chosen.datasets["films"].changed(**changes)
    if options.every is not None:
        campaign = campaign.with_frames_every(options.every)
    path = simulate(campaign, store, start=options.stored, workers=means.workers, memory=means.memory)
    _hand_out([path], targets)


def _train(options: argparse.Namespace, chosen: Profile) -> None:
    means, changes = _Means.parse(given(options, _Means)), given(options, ModelSettings)
    if options.encoder == "pod":
        changes.setdefault("modes", 0)
    for role, named in (("held", options.hold_alpha), ("validation", options.validate_alpha)):
        if named:
            changes[role] = {"anisotropy": named}
    arm = ModelSettings.parse({"arm": options.arm or "paper"})
    settings = (chosen.models[arm.arm].settings if arm.arm in chosen.models else arm).replace(**changes)
    store, out, numbers = Store(), options.out, range(settings.member, settings.member + means.members)
    targets = [] if out is None else [out]
    if out is not None and means.members > 1:
        targets = [out.parent / f"{out.name}_{number}" for number in numbers]
    _check_targets(targets, "model", store, options.data)
    data = [open_dataset(path) for path in options.data]
    for option in ("hold_alpha", "validate_alpha"):
        check_anisotropies(data, option, getattr(options, option) or ())
    models = [(options.data, settings.replace(member=number)) for number in numbers]
    folders = train_many(models, store, workers=means.workers)
    _hand_out(folders, targets)


def _evaluate(options: argparse.Namespace, _: Profile) -> None:
    model, data = load_model(options.model), [open_dataset(path) for path in options.data]
    result, seen = forecast([[Observation(model, each) for each in data]]), model.trained_on["anisotropy"]
    found = np.unique(np.concatenate([each["anisotropy"].values for each in data]))
    if far := found[outside(found, seen)].tolist():
        where = f"lies outside {min(seen):g} to {max(seen):g}, where the model was trained"
        print(f"nrp evaluate: warning: anisotropy = {far}: {where}", file=sys.stderr)
    common = {"analysis": "forecast", "system": data[0].attrs.get("system")}
    _print_rows(Result.of(result.records(), common).records(), as_json=options.json)


def _chapter(options: argparse.Namespace, chosen: Profile) -> None:
    from nrp.book import chapters

    if options.list and options.p:
        raise InvalidSetting("p: must set parameters of a chapter that runs, not of one whose are listed")
    if options.list and options.name is None:
        print("\n".join(chapters.chapter_names(_top_of_book())))
    elif options.list:
        print("\n".join(chapters.parameter_lines(options.name, root=_top_of_book(), profile=chosen)))
    elif options.name is None:
        raise InvalidSetting("chapter: must be named (nrp chapter --list shows the names)")
    else:
        parameters = {"profile": chosen.name} | dict(options.p)
        print(chapters.run_chapter(options.name, parameters, root=_top_of_book(), store=Store()))


def _book(options: argparse.Namespace, chosen: Profile) -> None:
    from nrp.book.build import build_book

    root, store = _top_of_book(), Store()
    Study(chosen.name, store).train_all()
    print(build_book(chosen.name, root=root, store=store, pdf=options.pdf))


def _publish(_: argparse.Namespace, chosen: Profile) -> None:
    for folder in Study(chosen.name).publish():
        print(folder)


def _results(options: argparse.Namespace, chosen: Profile) -> None:
    found, wanted = Study(chosen.name).stored_rows(), options.metric
    for metric in wanted:
        if all(entry["metric"] != metric for entry in found):
            raise InvalidSetting(f"metric = {metric!r}: must be one of those that nrp results prints")
    rows = [entry for entry in found if not wanted or entry["metric"] in wanted]
    _print_rows(rows, as_json=options.json)


def _store(options: argparse.Namespace, _: Profile) -> None:
    store = Store()
    if options.action == "list":
        for path, record in store.entries():
            print(f"{path.parent.name}/{path.name}  {record['finished']}  {record['seconds']:.1f} s")
        for line in store.verify(thorough=False):
            print(line)
    elif options.action == "verify":
        wrong = store.verify()
        print("\n".join(wrong) or "every stored result is as it was stored")
        if wrong:
            raise RuntimeError(f"{len(wrong)} stored results are not as they were stored; prune removes them")
    else:
        kept = set.union(*(Study(name, store).keys() for name in PROFILES))
        for name in store.prune(kept, dry_run=options.dry_run):
            print(f"would remove {name}" if options.dry_run else f"removed {name}")


def _check_targets(targets: Sequence[Path], kind: str, store: Store, inputs: Sequence[Path]) -> None:
    for target in targets:
        check_target(target, kind, root=store.root, inputs=inputs)


def _hand_out(folders: Sequence[Path], targets: Sequence[Path]) -> None:
    """Copy results to where they are wanted, and print where they are."""
    for folder, target in zip(folders, targets, strict=False):
        copy_out(folder, target)
    print("\n".join(str(path) for path in targets or folders))


def _top_of_book() -> Path:
    if (root := book_root()) is None:
        here = str(Path.cwd())
        raise InvalidSetting(f"folder = {here!r}: must lie in a copy of the book, with its _toc.yml")
    return root


def _print_rows(rows: list[dict], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for entry in rows:
        names = ("case", "arm", "split", "anisotropy")
        place = [f"{entry[name]}" for name in names if entry[name] is not None]
        if entry["lead_time"] is not None:
            place.append(f"{entry['lead_time']:g} frames" if entry["lead_time"] > 1 else "1 frame")
        value = "–" if entry["value"] is None else f"{entry['value']:.6g}"
        print(f"{entry['metric']:<28} {' '.join(place):<44} {value}")
