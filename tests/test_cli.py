"""The command line: what it makes, and how it refuses."""

import json

import pytest
import xarray as xr
from nrp.settings import CampaignSettings

from nrp.cli import main
from nrp.simulation.calibration import time_step

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
    parts = [
        "--arm",
        "identified",
        "--latent",
        "3",
        "--modes",
        "12",
        "--epochs",
        "2",
        "--mobility",
        "learned",
    ]
    data = ["--data", str(slow), "--data", str(fast)]
    assert main(["train", *parts, *data, "--members", "2", "--workers", "1", "--out", str(out)]) == 0
    assert capsys.readouterr().out.split()[-2:] == [f"{out}_0", f"{out}_1"]
    record = json.loads((tmp_path / "model_1" / "settings.json").read_text())
    assert record["trained_on"]["sweep_rate"] == [0.05, 0.1]
    assert (record["model"]["member"], record["model"]["mobility"]) == (1, "learned")

    far = tmp_path / "far.zarr"
    outside = [
        "simulate",
        "--alpha",
        "3.0",
        "--box",
        "8",
        "--workers",
        "1",
        "--sweep-rate",
        "0.1",
        "--every",
        "3",
    ]
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
    (tmp_path / "field.csv").write_text("0,1.5\n5,1.5\n5,0.5\n12,0\n")
    out = tmp_path / "table.zarr"
    options = [
        "--alpha",
        "2",
        "--box",
        "8",
        "--field-table",
        "field.csv",
        "--every",
        "1",
        "--start",
        "uniform",
    ]
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
        ("simulate --alpha -1", "anisotropy = -1.0: input should be greater than 0"),
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
        ("simulate --memory 0", "memory = 0.0: must be finite and greater than 0"),
        (
            "simulate --field-table falling.csv",
            "field_table = [(0.0, 1.5), (5.0, 1.0), (4.0, 0.0)]: its times",
        ),
        ("simulate --memory inf", "memory = inf: must be finite and greater than 0"),
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
        ("simulate --workers 0", "workers = 0: must be finite and greater than 0"),
        ("simulate --profile huge", "profile = 'huge': must be one of mini, book, paper"),
        ("train --data nowhere.zarr", "data = 'nowhere.zarr': "),
        ("train --data nowhere.zarr --arm best", "arm = 'best': must be one of paper, identified"),
        ("train --data nowhere.zarr --encoder spline", "encoder = 'spline': input should be 'dense', "),
        ("train --data nowhere.zarr --encoder pod --modes 9", "modes = 9: must be 0 or latent = 32 with"),
        ("train --data nowhere.zarr --members 0", "members = 0: must be at least 1"),
        ("evaluate --model nowhere --data nowhere.zarr", "model = 'nowhere': must be a folder with"),
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
    try:
        status = main(command.split())
    except SystemExit as stopped:
        status = stopped.code
    captured = capsys.readouterr()
    assert status == 2
    assert captured.err.count("\n") == 1
    assert line in captured.err
    assert captured.out == ""
    assert not list(runs.glob("store/*/*"))


def test_an_output_folder_of_somebody_else_is_kept(tmp_path, capsys, runs):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    assert main(["simulate", "--alpha", "2", *SMALL, "--out", str(precious)]) == 2
    assert not list(runs.glob("store/*/*")), "refused only after the work was done"
    assert (precious / "thesis.txt").read_text() == "years of work"
    assert "out = " in capsys.readouterr().err


def test_store_lists_verifies_and_prunes(capsys, runs):
    main(["simulate", "--alpha", "2", *SMALL])
    capsys.readouterr()
    assert main(["store", "list"]) == 0
    assert capsys.readouterr().out.startswith("simulate/")
    assert main(["store", "verify"]) == 0
    chunk = next(path for path in runs.glob("store/simulate/*/data.zarr/energy/c/**/*") if path.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    assert main(["store", "verify"]) == 1
    assert main(["store", "prune"]) == 0
    assert not list(runs.glob("store/simulate/*"))


def test_results_of_an_empty_store_are_the_published_ones(capsys):
    assert main(["results", "--profile", "mini", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    analyses = {entry["analysis"] for entry in rows}
    assert "benchmark" in analyses
    assert "solver" not in analyses
    assert {entry["profile"] for entry in rows} <= {"paper", None}
    assert all(entry["key"] for entry in rows)
