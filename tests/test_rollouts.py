"""Scenes and flows followed in time, against fields and decays that are known."""

import numpy as np
import pytest
import torch
from known import TruePlane, see

from nrp.evaluation.rollouts import Drive, follow
from nrp.evaluation.scene import LEADS, STRIDE, rollouts, scenes_of
from nrp.reduction import load_frames
from nrp.simulation import ExternalField, settings_of


def test_a_field_that_jumps_is_followed_between_frames(films):
    stepped = settings_of(films).replace(
        anisotropy=(1.0, 2.0), sweep_rate=(0.0,), field_table=((0, 1.5), (3.3, 1.5), (3.3, 0.5), (9, 0.5))
    )
    data = films.isel(run=[0, 1]).assign_attrs(settings=stepped.model_dump_json())
    data = data.assign_coords(sweep_rate=("run", [0.0, 0.0]))
    drive = Drive((data, load_frames(data)))
    found = drive(np.array([0, 1, 1]), np.array([[3.29, 3.31, 100.0], [0.0, 0.0, 6.0]]))
    assert found[0, :, 1].tolist() == pytest.approx([1.5, 0.5, 0.5])
    assert found[1, :, 1].tolist() == pytest.approx([1.5, 1.5, 0.5])
    assert found[..., 0].tolist() == [[1.0, 1.5, 1.5]] * 2


def test_runs_of_several_datasets_have_each_its_own_field(films):
    slow = settings_of(films).replace(sweep_rate=(0.01,))
    other = films.isel(run=[2]).assign_attrs(settings=slow.model_dump_json())
    other = other.assign_coords(sweep_rate=("run", [0.01]))
    drive = Drive(*((data, load_frames(data)) for data in (films.isel(run=[0, 1]), other)))
    assert drive(np.array([1, 2]), np.array([[10.0, 10.0]]))[0].tolist() == [
        [1.5, pytest.approx(1.0)],
        [2.0, pytest.approx(1.4)],
    ]


@pytest.mark.parametrize(
    "knots", [((0.0, 1.0),), ((0.0, 1.0), (2.0, 0.0)), ((0.0, 1.0), (1.0, 1.0), (1.0, 0.5), (3.0, 0.0))]
)
def test_field_at_many_times_is_that_at_each(knots):
    field = ExternalField(*knots)
    times = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 9.0])
    assert field.at(times).tolist() == pytest.approx([field(time) for time in times])


def test_following_a_linear_flow_is_exponential_decay(films):
    data = films.isel(run=[0, 1])
    drive, z = Drive((data, load_frames(data))), torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    times = np.array([[0.0, 1.0, 3.0, 3.0], [0.0, 2.0, 2.0, 4.0]])
    states = follow(lambda state, at: -0.7 * state, z, drive, np.arange(2), times, longest=0.25)
    expected = z[:, None] * torch.exp(torch.tensor(-0.7 * times, dtype=torch.float32))[..., None]
    assert torch.allclose(states, expected, rtol=1e-3)


def test_one_step_from_frame_to_frame_is_that_of_euler(films):
    data = films.isel(run=[0, 1])
    drive, z = Drive((data, load_frames(data))), torch.tensor([[1.0], [3.0]])
    times = np.array([[0.0, 1.0, 3.0, 3.0], [0.0, 2.0, 2.0, 4.0]])
    found = follow(lambda state, at: at[:, 1:2] - 0.1 * state, z, drive, np.arange(2), times, longest=np.inf)
    state = z.double().numpy()
    for i in range(3):
        field = drive(np.arange(2), times[None, :, i])[0, :, 1:2].double().numpy()
        state = state + np.diff(times)[:, i : i + 1] * (field - 0.1 * state)
        assert found[:, i + 1].numpy() == pytest.approx(state, rel=1e-6)


def test_rollouts_start_at_saturation_at_the_onset_and_where_the_field_stops(films):
    (scene,) = scenes_of(see(TruePlane(films), films))
    assert list(scene.starts) == ["from_saturation", "from_onset", "from_T0"]
    assert (scene.starts["from_saturation"] == 0).all()
    times, onset = scene.times, films.onset_time.values
    for run, (start, stop) in enumerate(
        zip(scene.starts["from_onset"], scene.starts["from_T0"], strict=True)
    ):
        assert times[run, start - 1] < onset[run] <= times[run, start]
        assert times[run, stop] == pytest.approx(30)  # a field of 1.5 at a rate of 0.05
    assert scene.described.tolist() == [10, 20, 30, 40]


def test_paths_begin_in_every_tenth_frame_and_stay_where_the_run_ends(films):
    (scene,) = scenes_of(see(TruePlane(films), films))
    runs, frames = scene.paths["leads"]
    assert frames[runs == 0][:, 0].tolist() == list(range(0, 40, STRIDE))
    assert frames.shape[1] == max(LEADS) + 1
    assert frames.max() == 40
    assert scene.paths["from_T0"].frames[:, 0].tolist() == scene.starts["from_T0"].tolist()


def test_a_state_that_does_not_move_stays_on_every_path(films):
    scenes = scenes_of(see(TruePlane(films), films))
    for name in scenes[0].paths:
        ((scene, states),) = rollouts(lambda z, at: 0 * z, scenes, name)
        path = scene.paths[name]
        assert torch.equal(states, scene.o.z[path.runs, path.frames[:, 0]][:, None].expand_as(states))
    assert not list(rollouts(lambda z, at: 0 * z, scenes, "from_start"))  # films have no such rollouts
