"""The command line: what it makes, and how it refuses."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
import zarr

from nrp.cli import main
from nrp.reduction import ModelSettings
from nrp.simulation import CampaignSettings
from nrp.simulation.calibration import time_step
from nrp.systems.film import FilmSettings

SMALL = ["--box", "8", "--sweep-rate", "0.05", "--every", "3", "--workers", "1"]


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("NRP_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def test_simulate_train_evaluate(tmp_path, capsys):
    film, model = tmp_path / "film.zarr", tmp_path / "model"
    alphas = ["--alpha", "1.0", "--alpha", "2.0", "--alpha", "3.0"]
    assert main(["simulate", *alphas, *SMALL, "--out", str(film)]) == 0
    data = xr.open_zarr(film)
    assert data.anisotropy.values.tolist() == [1, 2, 3]
    assert data.magnetization.dims == ("run", "frame", "y", "x")
    assert data.time.values[0, 1] == pytest.approx(3)

    arguments = ["--data", str(film), "--latent", "4", "--epochs", "3", "--hold-alpha", "2.0"]
    assert main(["train", *arguments, "--out", str(model)]) == 0
    assert json.loads((model / "settings.json").read_text())["trained_on"]["anisotropy"] == [1, 3]

    capsys.readouterr()
    assert main(["evaluate", "--model", str(model), "--data", str(film), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {entry["split"] for entry in rows} == {"trained", "new_anisotropy"}
    assert {"reconstruction_rmse", "one_step_rmse", "persistence_rmse", "rate_error"} <= {
        entry["metric"] for entry in rows
    }


def test_data_that_were_changed_are_other_data(tmp_path, capsys):
    film, part = tmp_path / "film.zarr", tmp_path / "part.zarr"
    assert main(["simulate", "--alpha", "1.0", *SMALL, "--out", str(film)]) == 0
    xr.open_zarr(film).isel(frame=slice(0, 12)).drop_encoding().to_zarr(part, consolidated=False)
    folders = []
    for data in (film, part, film):
        capsys.readouterr()
        assert main(["train", "--data", str(data), "--latent", "2", "--epochs", "1"]) == 0
        folders.append(capsys.readouterr().out)
    assert folders[0] == folders[2] != folders[1]


def test_an_anisotropy_beside_the_only_one_trained_gives_a_warning(tmp_path, capsys):
    film, other, model = tmp_path / "film.zarr", tmp_path / "other.zarr", tmp_path / "model"
    for alpha, path in (("1.0", film), ("3.0", other)):
        assert main(["simulate", "--alpha", alpha, *SMALL, "--out", str(path)]) == 0
    arguments = ["--latent", "2", "--epochs", "1", "--out", str(model)]
    assert main(["train", "--data", str(film), *arguments]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--model", str(model), "--data", str(other)]) == 0
    printed = capsys.readouterr()
    assert "anisotropy = [3.0]: lies outside 1 to 1, where the model was trained" in printed.err
    labels = [line.rsplit(maxsplit=1)[0] for line in printed.out.splitlines()]
    assert len(set(labels)) == len(labels)


def test_runs_go_on_under_their_field_or_from_where_it_has_come_to(tmp_path, capsys):
    first = tmp_path / "first.zarr"
    half = ["--field-final", "0.5", "--duration", "20"]
    assert main(["simulate", "--alpha", "1.0", "--alpha", "2.0", *SMALL[:4], *half, "--out", str(first)]) == 0

    def go_on(name: str, *options: str) -> xr.Dataset:
        path = tmp_path / name
        assert main(["simulate", "--continue", str(first), *options, "--out", str(path)]) == 0
        return xr.open_zarr(path).compute()

    same = go_on("same", "--duration", "6", "--every", "3")
    assert same.anisotropy.values.tolist() == [1.0, 2.0]
    assert same.external_field.values[0] == pytest.approx([0.5, 0.5, 0.5])
    held = go_on("held", "--sweep-rate", "0", "--duration", "6", "--every", "3")
    assert held.external_field.values[1] == pytest.approx([0.5, 0.5, 0.5])
    on = go_on("on", "--sweep-rate", "0.1", "--field-final", "-0.1", "--every", "3", "--alpha", "2.0")
    assert on.external_field.values[0] == pytest.approx([0.5, 0.2, -0.1])
    assert on.time.values[0].tolist() == pytest.approx([20, 23, 26])
    capsys.readouterr()
    for wrong in (["0.1", "--field-init", "1"], ["-0.1"], ["nan"]):
        assert main(["simulate", "--continue", str(first), "--duration", "6", "--sweep-rate", *wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_members_of_the_arm_identified_on_several_sweep_rates(tmp_path, capsys):
    slow, fast, out = tmp_path / "slow.zarr", tmp_path / "fast.zarr", tmp_path / "model"
    films = ["simulate", "--alpha", "1.0", "--alpha", "2.0", "--box", "8", "--workers", "1"]
    assert main([*films, "--sweep-rate", "0.05", "--every", "3", "--out", str(slow)]) == 0
    assert main([*films, "--sweep-rate", "0.1", "--every", "1.5", "--out", str(fast)]) == 0
    parts = ["--arm", "identified", "--latent", "3", "--modes", "12", "--epochs", "2"]
    data = ["--data", str(slow), "--data", str(fast)]
    assert main(["train", *parts, *data, "--members", "2", "--workers", "1", "--out", str(out)]) == 0
    assert capsys.readouterr().out.split()[-2:] == [f"{out}_0", f"{out}_1"]
    record = json.loads((tmp_path / "model_1" / "settings.json").read_text())
    assert record["trained_on"]["sweep_rate"] == [0.05, 0.1]
    assert (record["model"]["member"], record["model"]["modes"]) == (1, 12)

    far = tmp_path / "far.zarr"
    outside = ["simulate", "--alpha", "3.0", *SMALL[:2], "--sweep-rate", "0.1", "--every", "3"]
    assert main([*outside, "--out", str(far)]) == 0
    capsys.readouterr()
    assert main(["evaluate", "--model", f"{out}_0", "--data", str(far)]) == 0
    captured = capsys.readouterr()
    assert captured.err == (
        "nrp evaluate: warning: anisotropy = [3.0]: lies outside 1 to 2, where the model was trained\n"
    )
    assert "beyond_anisotropy" in captured.out


def test_a_loop_of_the_field_and_a_run_that_goes_on_from_its_end(tmp_path):
    loop, rest = tmp_path / "loop.zarr", tmp_path / "rest.zarr"
    options = ["--alpha", "2", "--box", "8", "12", "--workers", "1"]
    sweep = ["--sweep-rate", "0.1", "--field-final", "-1.5", "--loop", "--every", "3"]
    assert main(["simulate", *options, *sweep, "--scheme", "etdrk4", "--out", str(loop)]) == 0
    held = ["--sweep-rate", "0", "--duration", "4", "--every", "1", "--tolerance", "0.01"]
    assert main(["simulate", *options, *held, "--continue", str(loop), "--out", str(rest)]) == 0
    first, second = (xr.open_zarr(path).compute() for path in (loop, rest))
    assert first.external_field.values[0, [0, 10, 20]] == pytest.approx([1.5, -1.5, 1.5])
    assert first.scheme == "etdrk4"
    assert second.time.values[0].tolist() == [60, 61, 62, 63, 64]
    assert (second.external_field == 1.5).all()
    assert (second.magnetization[0, 0] == first.magnetization[0, -1]).all()
    assert second.time_step[0] > time_step(CampaignSettings(), 2.0)[0]  # of a smaller tolerance


def test_a_table_of_the_field(tmp_path):
    # With the mark that some spreadsheets begin a file with.
    (tmp_path / "field.csv").write_text("\ufeff0,1.5\n5,1.5\n5,0.5\n12,0\n", encoding="utf-8")
    out = tmp_path / "table.zarr"
    options = ["--alpha", "2", *SMALL[:2], "--field-table", "field.csv", "--every", "1", "--start", "uniform"]
    assert main(["simulate", *options, "--start-level", "0.2", "--noise", "0.01", "--out", str(out)]) == 0
    data = xr.open_zarr(out).compute()
    assert data.external_field.values[0, [0, 4, 5, 12]] == pytest.approx([1.5, 1.5, 0.5, 0])
    assert float(data.magnetization[0, 0].mean()) == pytest.approx(0.2, abs=0.01)


def test_the_same_command_computes_once(capsys, runs):
    main(["simulate", "--alpha", "2", *SMALL])
    first = capsys.readouterr()
    main(["simulate", "--alpha", "2", *SMALL])
    second = capsys.readouterr()
    assert first.out == second.out
    assert "simulating" in first.err
    assert second.err == ""


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("simulate --alpha -1", "anisotropy = -1.0: input should be greater than or equal to 0.000001"),
        ("simulate --alpha nan", "anisotropy = nan: input should be a finite number"),
        ("simulate --alpha two", "argument --alpha: invalid float value: 'two'"),
        ("simulate --alpha 1 --alpha 1", "anisotropy: [1.0, 1.0] names a value twice; each may stand once"),
        ("simulate --sweep-rate 0", "sweep_rate = 0.0: needs a duration, for the field does not end the run"),
        ("simulate --sweep-rate -1", "sweep_rate = -1.0: input should be greater than or equal to 0"),
        ("simulate --dx nan", "dx = nan: input should be a finite number"),
        ("simulate --dx 0", "dx = 0.0: input should be greater than 0"),
        ("simulate --dx -0.5", "dx = -0.5: input should be greater than 0"),
        ("simulate --box 64 60.25", "dx = 0.5: must divide box = 60.25 into at least 4 whole points"),
        ("simulate --box 16000", "box = (16000.0, 16000.0): a run takes 2.5e+02 GB, and there are"),
        ("simulate --memory 0.05", "box = (64.0, 64.0): a run takes 0.4 GB, and there are 0.05"),
        ("simulate --memory 0", "memory = 0.0: input should be greater than 0"),
        (
            "simulate --field-table falling.csv",
            "field_table = [(0.0, 1.5), (5.0, 1.0), (4.0, 0.0)]: its times",
        ),
        ("simulate --memory inf", "memory = inf: input should be a finite number"),
        ("simulate --time-step 1e-310", "time_step = 1e-310: input should be greater than or equal to"),
        (
            "simulate --loop --sweep-rate 0 --duration 5",
            "field_loop = True: needs a sweep, so no field_table",
        ),
        ("simulate --field-table words.csv", "field_table = 'words.csv': must hold lines of two numbers"),
        ("simulate --field-table empty.csv", "field_table = 'empty.csv': must hold lines of two numbers"),
        ("simulate --field-table none.csv", "field_table = 'none.csv': must hold lines of two numbers"),
        ("simulate --continue nowhere.zarr", "data = 'nowhere.zarr': must be a Zarr store that holds runs"),
        ("simulate --scheme euler", "scheme = 'euler': input should be 'sbdf4' or 'etdrk4'"),
        ("simulate --dx 0.3", "dx = 0.3: must divide box = 64.0 into at least 4 whole points"),
        ("simulate --coarsen 3", "coarsen = 3: must divide the 128 points of a side"),
        ("simulate --every 7", "every = 7.0: must divide the duration 300 of a run"),
        ("simulate --every 0", "every = 0.0: must divide the duration 300 of a run"),
        ("simulate --every nan", "every = nan: must divide the duration 300 of a run"),
        ("simulate --disorder some", "disorder = 'some': input should be 'quarter', 'unit_mean', "),
        ("simulate --workers 0", "workers = 0: input should be greater than or equal to 1"),
        ("simulate --profile huge", "profile = 'huge': must be one of mini, book, paper"),
        ("train --data nowhere.zarr", "data = 'nowhere.zarr': "),
        ("train --data nowhere.zarr --arm best", "arm = 'best': input should be 'paper'"),
        ("train --data nowhere.zarr --encoder spline", "encoder = 'spline': input should be 'dense' or"),
        ("train --data nowhere.zarr --encoder pod --modes 9", "modes = 9: must be 0 or latent = 32 with"),
        ("train --data nowhere.zarr --members 0", "members = 0: input should be greater than or equal to 1"),
        ("evaluate --model nowhere --data nowhere.zarr", "model = 'nowhere': must be a folder with"),
        ("simulate --alph 1", "unrecognized arguments: --alph 1"),
        ("train --data nowhere.zarr --lat 3", "unrecognized arguments: --lat 3"),
        ("simulate --field-init -1E0 --alpha nan", "anisotropy = nan: "),
        ("simulate --start-level -5e-1 --field-final -.5e1 --dx 0", "dx = 0.0: "),
        ("simulate --field-final -inf", "field_final = -inf: input should be a finite number"),
        (
            "simulate --field-final -2e3",
            "field_final = -2000.0: input should be greater than or equal to -1000",
        ),
        ("simulate --every 1e-320", "every = 1e-320: must divide the duration 300 of a run, into less than"),
        ("simulate --every 1e308", "every = 1e+308: must divide the duration 300 of a run"),
        ("simulate --start uniform --start-level 1e200", "start_level = 1e+200: input should be less than"),
        (
            "simulate --start uniform --start-level 30",
            "start_level = 30.0: input should be less than or equal",
        ),
        ("simulate --alpha 1e-300", "anisotropy = 1e-300: input should be greater than or equal to 0.000001"),
        ("simulate --alpha 1e6", "anisotropy = 1000000.0: input should be less than or equal to 100"),
        ("simulate --alpha 1e308", "anisotropy = 1e+308: input should be less than or equal to 100"),
        ("simulate --sample 9223372036854775808", "sample = 9223372036854775808: input should be less than"),
        (
            "simulate --sample 99999999999999999999",
            "sample = 99999999999999999999: input should be less than",
        ),
        ("simulate --seed 99999999999999999999", "seed = 99999999999999999999: input should be less than"),
        ("simulate --duration 1e300", "duration = 1e+300: input should be less than or equal to 1000000000"),
        ("simulate --sweep-rate 1e-300", "sweep_rate = 1e-300: a run takes 7.5e+301 steps; at most 1e8"),
        ("simulate --time-step 1e-6", "time_step = 1e-06: a run takes 3.0e+08 steps; at most 1e8"),
        ("simulate --noise 1e300", "noise = 1e+300: input should be less than or equal to 100"),
        ("simulate --cutoff 1e-300", "cutoff = 1e-300: input should be greater than or equal to 0.001"),
        ("simulate --stiffness 1e300", "stiffness = 1e+300: input should be less than or equal to 1000"),
        ("simulate --box 1 2 3", "box = [1.0, 2.0, 3.0]: tuple should have at most 2 items"),
        (
            "simulate --field-table huge.csv",
            "field_table = 1e+300: input should be less than or equal to 1000",
        ),
        (
            "simulate --field-table late.csv",
            "field_table = 1e+300: input should be less than or equal to 10000",
        ),
        ("simulate --field-table latin.csv", "field_table = 'latin.csv': must hold lines of two numbers"),
        ("simulate --scheduler nowhere", "scheduler = 'nowhere': must be tcp://HOST:PORT or local:N"),
        ("train --data nowhere.zarr --member 99999999999999999999", "member = 99999999999999999999: input"),
        ("train --data nowhere.zarr --epochs 99999999999", "epochs = 99999999999: input should be less than"),
        (
            "train --data nowhere.zarr --learning-rate -1e-3",
            "learning_rate = -0.001: input should be greater",
        ),
        ("chapter", "chapter: must be named"),
        ("chapter 06_validation", "folder = "),
        ("book --profile none", "profile = 'none': must be one of"),
        ("store burn", "argument action: invalid choice: 'burn'"),
        ("bake", "argument COMMAND: invalid choice: 'bake'"),
    ],
)
def test_what_is_not_allowed_gets_one_line_and_status_2(command, line, capsys, runs, tmp_path):
    (tmp_path / "falling.csv").write_text("0,1.5\n5,1\n4,0\n")
    (tmp_path / "words.csv").write_text("time,field\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "huge.csv").write_text("0,1.5\n5,1e300\n")
    (tmp_path / "late.csv").write_text("0,1.5\n1e300,0\n")
    (tmp_path / "latin.csv").write_bytes(b"0,1.5\n5,\xe9\n")
    try:
        status = main(command.split())
    except SystemExit as stopped:
        status = stopped.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.count("\n") == 1
    assert line in captured.err
    assert captured.out == ""
    assert not list(runs.glob("*/*/*"))


def test_an_output_folder_of_somebody_else_is_kept(tmp_path, capsys, runs):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    assert main(["simulate", "--alpha", "2", *SMALL, "--out", str(precious)]) == 2
    assert not list(runs.glob("store/*/*")), "refused only after the work was done"
    assert (precious / "thesis.txt").read_text() == "years of work"
    assert "out = " in capsys.readouterr().err


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A film and a model outside the store in which they were made."""
    top = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NRP_RUNS", str(top / "runs"))
        assert (
            main(["simulate", "--alpha", "1", "--alpha", "2", *SMALL, "--out", str(top / "film.zarr")]) == 0
        )
        train = ["train", "--data", str(top / "film.zarr"), "--latent", "2", "--epochs", "1"]
        assert main([*train, "--out", str(top / "model")]) == 0
    return top


def tree(top):
    return {path: path.is_file() and path.read_bytes() for path in top.rglob("*")}


@pytest.mark.parametrize(
    ("out", "line"),
    [
        ("film.zarr", "must not be, hold or lie in 'film.zarr', which it is made from"),
        ("link.zarr", "must not be, hold or lie in 'film.zarr', which it is made from"),
        ("runs/../film.zarr", "must not be, hold or lie in 'film.zarr'"),
        (".", "must end in a name"),
        ("runs", "must not lie in the store"),
        ("runs/store/simulate/0", "must not lie in the store"),
        ("other.zarr", "must not exist yet, or be an earlier model"),
        ("film.zarr/zarr.json/x", "must not be, hold or lie in"),
        ("other.zarr/zarr.json/x", "must be a place that can be written (Not a directory)"),
        ("n" * 300, "must be a place that can be written (File name too long)"),
    ],
)
def test_a_model_never_takes_the_place_of_a_film(out, line, made, runs, tmp_path, capsys):
    for name in ("film.zarr", "other.zarr"):
        shutil.copytree(made / "film.zarr", tmp_path / name)
    (tmp_path / "link.zarr").symlink_to("film.zarr")
    before = tree(tmp_path)
    assert main(["train", "--data", "film.zarr", "--latent", "2", "--epochs", "1", "--out", out]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"nrp train: out = {out!r}: {line}")
    assert told.count("\n") == 1
    assert tree(tmp_path) == before


@pytest.mark.parametrize("out", ["film.zarr", "model", "arrays", "."])
def test_a_film_never_takes_the_place_of_its_start_of_a_model_or_of_foreign_arrays(
    out, made, tmp_path, capsys
):
    for name in ("film.zarr", "model"):
        shutil.copytree(made / name, tmp_path / name)
    zarr.open_group(tmp_path / "arrays", mode="w").create_array("a", shape=3, dtype="f8")
    before = tree(tmp_path)
    options = ["--sweep-rate", "0", "--duration", "3", "--every", "1", "--out", out]
    assert main(["simulate", "--continue", "film.zarr", *options]) == 2
    assert capsys.readouterr().err.startswith(f"nrp simulate: out = {out!r}: must ")
    assert tree(tmp_path) == before


def test_the_places_of_all_members_are_checked_before_any_is_trained(made, tmp_path, runs, capsys):
    (tmp_path / "model_4").mkdir()
    (tmp_path / "model_4" / "thesis.txt").write_text("years of work")
    options = ["--data", str(made / "film.zarr"), "--latent", "2", "--epochs", "1", "--member", "3"]
    assert main(["train", *options, "--members", "2", "--out", "model"]) == 2
    assert "out = 'model_4'" in capsys.readouterr().err
    assert not (tmp_path / "model_3").exists()
    assert not runs.exists()


def test_an_earlier_output_of_the_same_kind_is_replaced(made, tmp_path, monkeypatch):
    monkeypatch.setenv("NRP_RUNS", str(made / "runs"))
    shutil.copytree(made / "film.zarr", tmp_path / "film.zarr")
    (tmp_path / "film.zarr" / "energy" / "c" / "0" / "0").unlink()
    assert main(["simulate", "--alpha", "1", "--alpha", "2", *SMALL, "--out", "film.zarr"]) == 0
    assert {p.relative_to(tmp_path): c for p, c in tree(tmp_path).items()} == {
        p.relative_to(made): c for p, c in tree(made / "film.zarr").items() | {(made / "film.zarr", False)}
    }


def test_store_lists_verifies_and_prunes(capsys, runs):
    main(["simulate", "--alpha", "2", *SMALL])
    (runs / "store" / "simulate" / "0123456789abcdef").mkdir()
    capsys.readouterr()
    assert main(["store", "list"]) == 0
    whole, damaged = capsys.readouterr().out.splitlines()
    assert whole.startswith("simulate/")
    assert damaged == "simulate/0123456789abcdef: it has no provenance.json"
    assert main(["store", "verify"]) == 1
    (runs / "store" / "simulate" / "0123456789abcdef").rmdir()
    assert main(["store", "verify"]) == 0
    chunk = next(path for path in runs.glob("store/simulate/*/data.zarr/energy/c/**/*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    assert main(["store", "verify"]) == 1
    capsys.readouterr()
    assert main(["store", "prune", "--dry-run"]) == 0
    would = capsys.readouterr().out
    assert would.startswith("would remove simulate/")
    assert main(["store", "prune"]) == 0
    assert capsys.readouterr().out == would.replace("would remove", "removed")
    assert not list(runs.glob("store/simulate/*"))


def test_a_film_whose_data_are_gone_is_made_anew(capsys, runs):
    command = ["simulate", "--alpha", "2", *SMALL]
    main(command)
    path = Path(capsys.readouterr().out.strip())
    shutil.rmtree(path)
    assert main(command) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(path)
    assert xr.open_zarr(path).sizes["frame"] == 21
    assert told.err.startswith(f"simulate/{path.parent.name}: some of its files are lost or cut; it is made")


def test_looking_needs_no_folder_that_can_be_written(capsys, runs):
    for command in (["store", "list"], ["store", "verify"], ["results", "--profile", "mini"]):
        assert main(command) == 0
    assert not runs.exists()


def test_a_terminal_without_greek_letters_shows_all_rows():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "nrp.cli", "results", "--profile", "mini"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) > 10


def test_a_copy_that_fails_tells_its_reason_in_one_short_line(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NRP_RUNS", str(made / "runs"))
    (tmp_path / "deep").mkdir()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write fails as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        assert main(["simulate", "--alpha", "1", "--alpha", "2", *SMALL, "--out", "deep/film.zarr"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    told = capsys.readouterr().err
    assert "File too large" in told
    assert told.count("\n") == 1
    assert len(told) < 350
    assert not list((tmp_path / "deep").iterdir())


@pytest.mark.parametrize(
    ("command", "settings"),
    [("simulate", CampaignSettings), ("simulate", FilmSettings), ("train", ModelSettings)],
)
def test_each_setting_is_an_option_with_its_docstring(command, settings, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    short = {"anisotropy": "alpha", "field_loop": "loop"}
    made_by_others = {"system", "begin", "frames", "held", "validation"}
    for name, field in settings.model_fields.items():
        if name not in made_by_others:
            begin = re.sub("[`*]", "", " ".join(field.description.split()))[:20]
            option = "--" + short.get(name, name).replace("_", "-")
            assert re.search(rf" {option}[, ][^a-z]*.{{0,80}}{re.escape(begin)}", told), name


def test_results_of_an_empty_store_are_the_published_ones(capsys):
    assert main(["results", "--profile", "mini", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    analyses = {entry["analysis"] for entry in rows}
    assert "benchmark" in analyses
    assert "solver" not in analyses
    assert {entry["profile"] for entry in rows} <= {"paper", None}
    assert all(entry["key"] for entry in rows)


def test_results_of_one_metric(capsys):
    assert main(["results", "--profile", "mini", "--json", "energy_r2", "sample_scatter"]) == 0
    assert {entry["metric"] for entry in json.loads(capsys.readouterr().out)} == {
        "energy_r2",
        "sample_scatter",
    }
    assert main(["results", "--profile", "mini", "energy"]) == 2
    assert capsys.readouterr().err == (
        "nrp results: metric = 'energy': must be one of those that nrp results prints\n"
    )


def test_parameters_are_set_or_listed(capsys):
    assert main(["chapter", "06_validation", "--list", "-p", "profile", "mini"]) == 2
    assert capsys.readouterr().err.startswith("nrp chapter: p: must set parameters of a chapter that runs")
