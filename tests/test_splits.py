"""Which runs a model was trained on, and in what the others are new to it."""

import json

from nrp.reduction import ModelSettings, Runs
from nrp.reduction.splits import coverage, split_names, trained_runs

SMALL = ModelSettings(held=Runs(anisotropy=(2.0,)))


def test_splits_tell_what_is_new(blob):
    seen = coverage([blob], SMALL)
    assert trained_runs(blob, SMALL).tolist() == [True, False, True]
    assert split_names(blob, SMALL, seen).tolist() == ["trained", "new_anisotropy", "trained"]

    def names(**changes):
        return split_names(blob.assign_coords({k: ("run", v) for k, v in changes.items()}), SMALL, seen)[0]

    assert names(sample=[1, 1, 1]) == "new_disorder"
    assert names(sweep_rate=[0.1] * 3) == "new_sweep_rate"
    assert names(sweep_rate=[0.1] * 3, sample=[1] * 3, anisotropy=[1.5, 2.5, 3.5]) == "new_all"
    assert names(sweep_rate=[0.1] * 3, sample=[1] * 3) == ""
    bead = blob.drop_vars("disorder").assign_coords(sample=("run", [1, 1, 1]))
    assert split_names(bead, SMALL, seen)[0] == "random_start"


def test_splits_know_fields_that_are_no_sweep_and_ranges(blob):
    seen = {"anisotropy": [1.0, 3.0], "sample": [0], "sweep_rate": [0.1, 0.3]}

    def names(table=None, **changes):
        data = blob.assign_coords({k: ("run", v) for k, v in changes.items()})
        if table:
            data = data.assign_attrs(settings=json.dumps({"field_table": table}))
        return split_names(data, SMALL, seen).tolist()

    assert names(sweep_rate=[0.1] * 3, anisotropy=[0.5, 2.0, 4.0]) == [
        "beyond_anisotropy",
        "new_anisotropy",
        "beyond_anisotropy",
    ]
    assert names(anisotropy=[1.0] * 3, sweep_rate=[0.05, 0.2, 0.4]) == [
        "beyond_sweep_rate",
        "new_sweep_rate",
        "beyond_sweep_rate",
    ]
    assert names([[0, 1], [5, 1], [5, 0], [9, 0]], sweep_rate=[0.0] * 3) == ["field_step", "", "field_step"]
    assert names([[0, 1], [5, 0.4], [9, 0.4]], sweep_rate=[0.0] * 3) == ["field_hold", "", "field_hold"]
    # A point that stands twice in the table is no jump.
    assert names([[0, 1], [5, 0.4], [5, 0.4], [9, 0.4]], sweep_rate=[0.0] * 3)[0] == "field_hold"
    # What is new in everything, and outside of a range, is no test of what was learned inside.
    everything = {"anisotropy": [1.5, 2.0, 2.5], "sample": [1] * 3}
    assert names(**everything, sweep_rate=[0.2] * 3) == ["new_all"] * 3
    assert names(**everything, sweep_rate=[0.2, 0.4, 0.05]) == ["new_all", "", ""]
    noisy = json.dumps({"field_table": [[0, 0], [9, 0]], "system": {"start": "random"}})
    films = blob.assign_attrs(settings=noisy).assign_coords(sweep_rate=("run", [0.0] * 3))
    assert split_names(films, SMALL, seen).tolist() == ["random_start", "", "random_start"]


def held(blob, key: str):
    """The same runs under a field that is held."""
    table = json.dumps({"field_table": [[0, 1], [5, 0.4], [9, 0.4]]})
    return blob.assign_coords(sweep_rate=("run", [0.0] * 3)).assign_attrs(settings=table, key=key)


def test_runs_under_held_fields_are_trained_on_and_others_are_not(blob):
    plain = ModelSettings()
    seen = coverage([blob, held(blob, "one")], plain)
    assert seen["protocols"] == ["one"]
    assert seen["sweep_rate"] == [0.2]  # that of the sweeps alone
    assert "protocols" not in coverage([blob], plain)
    assert split_names(held(blob, "one"), plain, seen).tolist() == ["trained"] * 3
    assert split_names(held(blob, "two"), plain, seen).tolist() == ["field_hold"] * 3
    other = held(blob, "two").assign_coords(sample=("run", [7] * 3))
    assert split_names(other, plain, seen).tolist() == [""] * 3
    new = other.assign_coords(anisotropy=("run", [1.5, 2.5, 2.0]))
    assert split_names(new, plain, seen).tolist() == ["field_hold", "field_hold", ""]
