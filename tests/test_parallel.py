"""Tasks in local processes and through Dask: order, sameness, loss, errors, and what is told."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from contextlib import ExitStack, contextmanager

import dask
import numpy as np
import pytest
import torch
from distributed import Client
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_info

from nrp import parallel
from nrp.base import InvalidSetting
from nrp.parallel import map_tasks, use_scheduler
from nrp.progress import progress, quiet

# Tasks are defined inside the tests: so they travel by value, as workers cannot import this file.


@contextmanager
def running_cluster(folder, workers):
    """Yield the address of a scheduler with workers, and its process; all are ended by force."""
    file = folder / "scheduler.json"
    end = ["--no-dashboard", "--host", "127.0.0.1"]
    # So long a scheduler may ask a lost worker for a result that it had finished.
    environment = os.environ | {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
    with ExitStack() as stack:

        def start(*command):
            process = subprocess.Popen(
                [sys.executable, "-m", *command, *end],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        scheduler = start("distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(file))
        # The workers wait for this file themselves.
        for _ in range(workers):
            start(
                "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny"
            )
        while not file.exists() or not file.read_text().endswith("}"):
            assert scheduler.poll() is None
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        with Client(address, timeout=30) as client:
            client.wait_for_workers(workers, timeout=60)
        yield address, scheduler


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The address of a scheduler with two worker processes."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), 2) as (address, _):
        yield address


@pytest.fixture(params=["processes", "cluster"])
def place(request):
    """Where tasks run: two local processes, or two workers of a cluster."""
    with use_scheduler(request.getfixturevalue("cluster") if request.param == "cluster" else None):
        yield request.param


def test_results_stand_in_the_order_of_the_tasks(place):
    def task(number, seconds):
        time.sleep(seconds)
        return number

    # The first takes longest.
    tasks = [(number, 0.3 if number == 0 else 0.0) for number in range(6)]
    assert map_tasks(task, tasks, workers=2, title="waiting") == list(range(6))


def test_no_tasks_have_no_results(place, capsys):
    assert map_tasks(os.getpid, [], title="nothing") == []
    assert capsys.readouterr().err == ""


def test_a_single_worker_is_this_process_with_all_its_threads():
    def task():
        return os.getpid(), torch.get_num_threads()

    assert map_tasks(task, [(), ()], workers=1, title="here") == [task()] * 2


def test_tasks_elsewhere_have_as_many_threads_as_allowed(place):
    def task():
        return os.getpid(), [library["num_threads"] for library in threadpool_info()]

    results = map_tasks(task, [()] * 4, workers=2, title="elsewhere", threads=2)
    assert os.getpid() not in {process for process, _ in results}
    assert all(allowed and set(allowed) == {2} for _, allowed in results)


def test_local_processes_and_dask_give_the_same_numbers(cluster):
    def task(seed):
        torch.manual_seed(seed)
        x = torch.randn(200, 200)
        for _ in range(30):
            x = torch.tanh(x @ x / 14)
        y = np.random.default_rng(seed).normal(size=(200, 200))
        return torch.get_num_threads(), x.numpy().tobytes(), (y @ y).tobytes(), np.linalg.inv(y).tobytes()

    tasks = [(seed,) for seed in range(6)]
    expected = map_tasks(task, tasks, workers=2, title="in processes")
    assert len(set(expected)) == 6
    assert {threads for threads, *_ in expected} == {1}
    with use_scheduler(cluster):
        assert map_tasks(task, tasks, title="through Dask") == expected


def test_a_killed_worker_costs_only_its_unfinished_tasks(tmp_path):
    log, killed = tmp_path / "log", tmp_path / "killed"

    def task(number):
        with log.open("a") as file:
            file.write(f"{number} {os.getpid()}\n")
        if number == 5 and not killed.exists():
            killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return number**2

    with running_cluster(tmp_path, 2) as (address, _), use_scheduler(address):
        assert map_tasks(task, [(n,) for n in range(20)], title="killing") == [n**2 for n in range(20)]
    begun = [line.split() for line in log.read_text().splitlines()]
    kept = [number for number, process in begun if process != killed.read_text()]
    assert "5" in kept
    assert len(set(kept)) == len(kept)


def test_a_task_that_kills_every_worker_or_a_lost_scheduler_is_one_line(tmp_path, capfd):
    def task():
        os.kill(os.getpid(), signal.SIGKILL)

    # By default four workers have to die.
    few = dask.config.set({"distributed.scheduler.allowed-failures": 0})
    expected = pytest.raises(ConnectionError, match=r"^scheduler: .*died.*$")
    with few, use_scheduler("local:1"), expected as died:
        map_tasks(task, [()], title="dying")

    begun = tmp_path / "begun"

    def long_task():
        begun.touch()
        time.sleep(60)

    def kill_when_begun():
        while not begun.exists():
            time.sleep(0.05)
        scheduler.kill()

    expected = pytest.raises(ConnectionError, match=r"^scheduler: .*lost.*$")
    with running_cluster(tmp_path, 1) as (address, scheduler), use_scheduler(address), expected as lost:
        thread = threading.Thread(target=kill_when_begun, daemon=True)
        thread.start()
        map_tasks(long_task, [()], title="losing")
    thread.join()
    assert "\n" not in str(died.value) + str(lost.value)
    assert capfd.readouterr().err == ""


def test_what_a_task_raises_is_raised_here_as_it_is(place):
    def task(number):
        if number == 2:
            raise InvalidSetting(f"number = {number}: must be smaller")
        return number

    with pytest.raises(InvalidSetting, match=r"^number = 2: must be smaller$"):
        map_tasks(task, [(n,) for n in range(5)], workers=2, title="failing")


@pytest.mark.parametrize("stopped", [ArithmeticError, KeyboardInterrupt])
def test_a_map_that_is_stopped_drops_its_other_tasks(cluster, tmp_path, monkeypatch, stopped):
    go = tmp_path / "go"

    def task(number):
        if number == 0:
            if stopped is ArithmeticError:
                raise ArithmeticError
            return
        while not go.exists():
            time.sleep(0.05)
        (tmp_path / f"ran {number}").touch()
        time.sleep(0.2)

    def interrupted(items, **_):
        for item in items:
            yield item
            raise KeyboardInterrupt

    if stopped is KeyboardInterrupt:
        monkeypatch.setattr(parallel, "progress", interrupted)
    with Client(cluster) as client:
        # The error is kept, and with it what its traceback refers to.
        with pytest.raises(stopped) as error:
            map_tasks(task, [(n,) for n in range(40)], title="stopping")
        # What has begun cannot be stopped.
        go.touch()
        while any(client.processing().values()):
            time.sleep(0.05)
        workers = list(client.scheduler_info()["workers"])
        last = [client.submit(abs, 1, pure=False, workers=[each]) for each in workers]
        assert client.gather(last) == [1, 1]
        assert len(list(tmp_path.glob("ran *"))) < 10
    del error


def test_an_active_client_of_dask_is_used(cluster):
    with Client(cluster):
        there = set(map_tasks(os.getpid, [()] * 4, workers=1, title="there"))
    assert os.getpid() not in there
    assert map_tasks(os.getpid, [()], title="here") == [os.getpid()]


def test_a_process_that_is_started_inside_works_there_as_well(cluster):
    code = "import os, nrp.parallel as p; print(os.getpid(), *p.map_tasks(os.getpid, [()], title='here'))"
    places = []
    for address in (cluster, None):
        with use_scheduler(address):
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        here, there = done.stdout.split()
        places.append(here == there)
    assert places == [False, True]


def test_a_map_in_a_task_runs_where_the_task_does(place):
    def task():
        return os.getpid(), *map_tasks(os.getpid, [()] * 3, workers=2, title="inner")

    for processes in map_tasks(task, [()] * 4, workers=2, title="outer"):
        assert len(set(processes)) == 1


@pytest.mark.parametrize(
    "address", ["", "x", "local:", "local:0", "local:-1", "local:2.5", "tcp://host", "a:1"]
)
def test_a_wrong_address_is_one_line(address):
    with pytest.raises(InvalidSetting) as error, use_scheduler(address):
        pass
    assert re.fullmatch(rf"scheduler = '{address}': must be tcp://HOST:PORT or local:N.*", str(error.value))


def test_an_address_without_a_scheduler_is_one_line_and_soon(monkeypatch, capfd):
    monkeypatch.setattr(parallel, "_SECONDS_TO_CONNECT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute, socket.create_server(("127.0.0.1", 0)) as other:

        def answer():
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                connection.recv(1)

        thread = threading.Thread(target=answer)
        thread.start()
        ports = [server.getsockname()[1] for server in (mute, other)]
        for address in (*(f"127.0.0.1:{port}" for port in ports), "127.0.0.1:1", "127.0.0.1:99999"):
            wanted = rf"scheduler = 'tcp://{address}': must be tcp://HOST:PORT .* none answers there"
            with pytest.raises(InvalidSetting) as error, use_scheduler(f"tcp://{address}"):
                pass
            assert re.fullmatch(wanted, str(error.value))
        thread.join()
    assert capfd.readouterr().err == ""


def test_without_dask_a_scheduler_is_refused_and_local_processes_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InvalidSetting, match="needs the package 'distributed'"), use_scheduler("local:2"):
        pass
    assert map_tasks(abs, [(-1,), (2,)], workers=2, title="without") == [1, 2]


@pytest.mark.parametrize("address", [None, "local:2"])
def test_tasks_tell_no_progress_of_their_own_but_their_warnings(capfd, address):
    def task(number):
        warnings.warn(f"something odd in {number}", stacklevel=1)
        return list(progress(range(3), total=3, title="steps"))

    # Processes of an earlier test have its standard error.
    get_reusable_executor().shutdown(wait=True)
    with use_scheduler(address):
        map_tasks(task, [(n,) for n in range(3)], workers=2, title="three tasks")
    told = capfd.readouterr().err
    assert told.count("three tasks: 3/3") == 1
    assert "steps" not in told
    assert all(f"something odd in {n}" in told for n in range(3))


def test_in_this_process_a_single_task_tells_its_progress(capsys):
    def task():
        return list(progress(range(3), total=3, title="steps"))

    map_tasks(task, [()], title="tasks")
    assert "steps: 3/3" in capsys.readouterr().err
    map_tasks(task, [(), ()], workers=1, title="tasks")
    told = capsys.readouterr().err
    assert "steps" not in told
    assert "tasks: 2/2" in told


def test_quiet_silences_progress_and_ends(capsys):
    with quiet():
        assert list(progress(range(3), total=3, title="steps")) == [0, 1, 2]
        with pytest.warns(UserWarning, match="odd"):
            warnings.warn("odd", stacklevel=1)
    assert capsys.readouterr().err == ""
    list(progress(range(3), total=3, title="steps"))
    assert "steps: 3/3" in capsys.readouterr().err
