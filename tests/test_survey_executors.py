"""Where surveys are computed: same bits everywhere, and a death costs a chunk at most."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import descentlab as dl
from descentlab.errors import InputError, WorkError
from descentlab.landscapes import landscape
from descentlab.survey import workers
from descentlab.survey.cluster import open_executor

# Functions of packages are not reached through the package's attribute, which is the function `survey`.
SURVEY = sys.modules["descentlab.survey.survey"]
CRASHES = sys.modules["descentlab.survey.crashes"]
CLUSTER = sys.modules["descentlab.survey.cluster"]
EXECUTORS = sys.modules["descentlab.survey.executors"]
COMMAND = [sys.executable, "-m", "descentlab"]

COLUMNS = ("start_points", "ends", "values", "slopes", "end_outcomes", "assignment", "taken")
SPAWN = multiprocessing.get_context("spawn")
BOX = {"x": (-2, 2), "y": (-2, 2)}
EXIT, KILL, RAISE = 1.25, 1.5, 1.75  # where the functions below do harm, in a worker process


def same(a: dl.Survey, b: dl.Survey) -> None:
    """Assert that two surveys are equal to the bit."""
    for name in COLUMNS:
        ours, theirs = getattr(a, name), getattr(b, name)
        assert ours.dtype == theirs.dtype, name
        assert ours.tobytes() == theirs.tobytes(), name
    assert a.outcomes == b.outcomes
    assert [(m.id, m.hits, m.value, m.point.tobytes(), m.steps) for m in a.minima] == [
        (m.id, m.hits, m.value, m.point.tobytes(), m.steps) for m in b.minima
    ]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SURVEY, "CHUNK", 500)


def children() -> list[psutil.Process]:
    """The worker processes under this one."""
    return [
        p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline() or [])
    ]


def gone(processes: list[psutil.Process], seconds: float = 10) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


# Functions that harm the process they run in; module-level, so that workers can import them


def _harm(x: Any) -> Any:
    if multiprocessing.parent_process() is not None:
        first = np.asarray(x)[..., 0]  # JAX's own operations may wait for ever inside a callback
        if (first == EXIT).any():
            os._exit(1)
        if (first == KILL).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if (first == RAISE).any():
            raise ValueError("the callback refuses this point")
    return np.zeros(np.shape(x)[:-1], np.float32)


def _always(x: Any) -> Any:
    if multiprocessing.parent_process() is not None:
        os._exit(3)
    return np.zeros(np.shape(x)[:-1], np.float32)


def _with(callback: Callable[[Any], Any], x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    # JAX runs a callback on a thread of its own, where it knows single precision only.
    shape = jax.ShapeDtypeStruct((), np.float32)
    nothing = jax.pure_callback(callback, shape, jax.lax.stop_gradient(x), vmap_method="expand_dims")
    return (x[0] ** 2 - 1) ** 2 + x[1] ** 2 + 0.1 * jnp.sin(3 * x[0]) + nothing.astype(x.dtype)


def harmful(x: Any) -> Any:
    return _with(_harm, x)


def deadly(x: Any) -> Any:
    return _with(_always, x)


def starts_with(bad: dict[int, float], count: int = 300) -> np.ndarray:
    points = np.random.default_rng(5).uniform(-2, 2, (count, 2))
    for number, where in bad.items():
        points[number, 0] = where
    return points


def is_isolated(s: dl.Survey, bad: dict[int, float], points: np.ndarray) -> None:
    """Assert that the bad starts are counted as crashed, and the others went on as without them."""
    f = dl.function(harmful, domain=BOX)
    good = np.setdiff1d(np.arange(len(points)), list(bad))
    assert np.flatnonzero(s.end_outcomes == "crashed").tolist() == sorted(bad)
    assert s.outcomes["crashed"] == len(bad)
    assert sum(s.outcomes.values()) == s.starts_count == len(points)
    assert (s.assignment[sorted(bad)] == -1).all()
    assert np.isnan(s.values[sorted(bad)]).all()
    without = dl.survey(f, starts=points[good])
    for name in COLUMNS:
        assert getattr(s, name)[good].tobytes() == getattr(without, name).tobytes(), name
    assert [m.hits for m in s.minima] == [m.hits for m in without.minima]


# What is refused


@pytest.mark.parametrize("executor", [True, 1.5, "2", object(), [2], "tcp://127.0.0.1:8786"])
def test_other_executors_are_refused(executor: Any) -> None:
    with pytest.raises(InputError, match=f"got {type(executor).__name__}"):
        dl.survey(landscape("peaks"), starts=10, executor=executor)


@pytest.mark.parametrize("executor", [0, -1, 1025])
def test_the_number_of_workers_has_bounds(executor: int) -> None:
    with pytest.raises(InputError, match="1 to 1024"):
        dl.survey(landscape("peaks"), starts=10, executor=executor)


def test_a_pool_that_forks_is_refused() -> None:
    with (
        concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool,
        pytest.raises(InputError, match="spawn"),
    ):
        dl.survey(landscape("peaks"), starts=10, executor=pool)


def test_an_executor_that_was_shut_down_is_refused() -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pass
    with pytest.raises(InputError, match="takes no work"):
        dl.survey(landscape("peaks"), starts=10, executor=pool)


def test_a_lambda_needs_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    f = dl.function(lambda x: x[0] ** 2, domain={"x": (-1, 1)})
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(InputError, match=r"top of a module.*descentlab\[dask\]"):
        dl.survey(f, starts=10, executor=2)


def test_what_nothing_can_send_is_refused() -> None:
    lock = threading.Lock()
    f = dl.function(lambda x: x[0] ** 2 + 0 * lock.locked(), domain={"x": (-1, 1)})
    with pytest.raises(InputError, match="cannot be sent"):
        dl.survey(f, starts=10, executor=2)


def test_workers_or_a_scheduler() -> None:
    with pytest.raises(InputError, match="not both"), open_executor(2, "tcp://127.0.0.1:1"):
        pass
    with open_executor(3) as executor:
        assert executor == 3
    with open_executor() as executor:
        assert executor is None


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "", "127.0.0.1:abc"])
def test_a_scheduler_that_does_not_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CLUSTER, "PATIENCE", 0.5)
    with pytest.raises(InputError, match="No Dask scheduler answers at"), open_executor(None, address):
        pass


def test_dask_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"descentlab\[dask\]"), open_executor(None, "tcp://127.0.0.1:1"):
        pass


class FakeClient:
    asynchronous = False

    def __init__(self, answer: Any, status: str = "running") -> None:
        self.status, self.answer = status, answer

    def run(self, call: Any, on_error: str) -> dict[str, Any]:
        return {"tcp://w": self.answer}


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (FakeClient(CLUSTER.versions() | {"jaxlib": "0.0.1"}), "jaxlib 0.0.1.*would differ"),
        (FakeClient(ModuleNotFoundError("No module named 'descentlab'")), "cannot import descentlab"),
        (FakeClient({}, "closed"), "not connected"),
    ],
)
def test_a_cluster_that_would_compute_something_else_is_refused(client: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CLUSTER._check_cluster(client)
    CLUSTER._check_cluster(FakeClient(CLUSTER.versions()))


def test_a_survey_does_not_load_dask() -> None:
    code = "import descentlab.survey, sys; sys.exit('distributed' in sys.modules or 'jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# Same bits


@pytest.mark.usefixtures("small_chunks")
def test_threads_of_ones_own_change_no_bit() -> None:
    f = landscape("peaks")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        same(dl.survey(f, starts=3300), dl.survey(f, starts=3300, executor=pool))


@pytest.mark.usefixtures("small_chunks")
def test_two_workers_change_no_bit_and_are_gone_afterwards() -> None:
    f = landscape("peaks")
    before = children()
    same(dl.survey(f, starts=3300), dl.survey(f, starts=3300, executor=np.int64(2)))
    assert children() == before


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("executor", [1, 3])
def test_other_numbers_of_workers_change_no_bit(executor: int) -> None:
    f = dl.formula("abs(x) + cos(5*y)*y", domain=BOX)
    settings: dict[str, Any] = {"starts": 2100, "seed": 4, "optimizer": "momentum", "steps": 500}
    same(dl.survey(f, **settings), dl.survey(f, **settings, executor=executor))


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_a_process_pool_changes_no_bit() -> None:
    f = dl.function(harmful, domain=BOX)
    with concurrent.futures.ProcessPoolExecutor(2, SPAWN) as pool:
        same(dl.survey(f, starts=3300), dl.survey(f, starts=3300, executor=pool))
        same(
            dl.survey(landscape("peaks"), starts=900),
            dl.survey(landscape("peaks"), starts=900, executor=pool),
        )


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_lambdas_and_own_optimizers_reach_workers() -> None:
    import optax

    scale = 0.7
    f = dl.function(lambda x: scale * (x[0] ** 2 - 1) ** 2, domain={"x": (-2, 2)})
    own = optax.chain(optax.clip(0.5), optax.sgd(0.05, momentum=0.5))
    settings: dict[str, Any] = {"starts": 1100, "optimizer": own, "learning_rate": 1.0, "steps": 400}
    same(dl.survey(f, **settings), dl.survey(f, **settings, executor=2))


@pytest.mark.slow
def test_a_function_of_a_file_reaches_workers_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_mine.py").write_text("def square(x):\n    return x**2\n")
    (tmp_path / "mine.py").write_text(
        "from neighbour_of_mine import square\nRATE = 2.0\ndef bowl(x):\n    return RATE * square(x[0]) + other(x)\n"
        "def other(x):\n    from neighbour_of_mine import square\n    return square(x[1] - 1)\n"
    )
    survey = [*COMMAND, "survey", f"{tmp_path / 'mine.py'}:bowl", "--domain=x=-2:2", "--domain=y=-2:2"]
    outputs = [
        subprocess.run([*survey, "--starts=50", "--json", *more], capture_output=True, text=True, check=True)
        for more in ([], ["--workers=1"])
    ]
    assert outputs[0].stdout == outputs[1].stdout
    assert outputs[1].stderr == ""


def test_a_packed_job_keeps_its_bits() -> None:
    jobs: list[Any] = []

    def spy(job: Any, ranges: Any, executor: Any) -> Any:
        jobs.append(job)
        return EXECUTORS.compute(job, ranges, executor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SURVEY, "compute", spy)
        dl.survey(landscape("himmelblau"), starts=20)
    here = workers.attempt(jobs[0], 3, 10)
    there = workers.attempt(pickle.loads(workers.pack(jobs[0])), 3, 10)
    given = workers.attempt(jobs[0], 3, 10, jobs[0].starts.points(3, 10))
    for other in (there, given):
        for field in dataclasses.fields(here):
            a, b = getattr(here, field.name), getattr(other, field.name)
            assert field.name == "places" or np.array_equal(a, b), field.name


# Memory, and the end


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_workers_are_only_a_few_chunks_ahead() -> None:
    pools: list[Any] = []

    class Pool(EXECUTORS._Pool):  # type: ignore[misc, name-defined]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            pools.append(self)

    held = []

    def look(seen: dl.survey.__class__) -> None:  # type: ignore[name-defined]
        time.sleep(0.02)
        held.append(len(pools[0]._found) + sum(len(w.doing) for w in pools[0]._workers))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EXECUTORS, "_Pool", Pool)
        dl.survey(landscape("peaks"), starts=20_000, executor=2, progress=look)
    assert len(held) == 40
    assert max(held) <= 6


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_a_survey_that_stops_early_leaves_no_process() -> None:
    before = children()

    def interrupt(seen: Any) -> None:
        assert len(children()) == len(before) + 2
        raise KeyboardInterrupt

    began = time.perf_counter()
    s = dl.survey(landscape("peaks"), starts=10**6, executor=2, progress=interrupt)
    assert s.stopped == "interrupted"
    assert s.starts_count == 500
    assert children() == before
    assert time.perf_counter() - began < 60


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_orphans_after_ctrl_c_or_kill(sent: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "err"
    with log.open("w") as err:
        command = [*COMMAND, "survey", "rastrigin", "--dim=6", "--starts=100000000", "--workers=2"]
        # A session of its own: the signal goes to all its processes, as Ctrl-C in a terminal does.
        process = subprocess.Popen(command, stdout=err, stderr=err, start_new_session=True)
    try:
        below: list[psutil.Process] = []
        for _ in range(600):
            below = psutil.Process(process.pid).children(recursive=True)
            if sum(p.cpu_times().user > 3 for p in below if p.is_running()) >= 2:
                break
            time.sleep(0.1)
        assert len(below) >= 2
        if sent == signal.SIGINT:
            os.killpg(process.pid, sent)
            time.sleep(0.5)
            os.killpg(process.pid, sent)
        else:
            process.kill()
        process.wait(timeout=60)
        assert gone(below)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert "Traceback" not in log.read_text()


# Deaths


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_a_killed_worker_costs_its_chunk() -> None:
    f = landscape("peaks")
    killed = []

    def kill(seen: dl.survey.__class__) -> None:  # type: ignore[name-defined]
        if seen.starts in (1000, 4000):
            killed.append(children()[0])
            killed[-1].kill()

    s = dl.survey(f, starts=6200, executor=2, progress=kill)
    assert len(killed) == 2
    same(dl.survey(f, starts=6200), s)


BAD = {77: KILL, 78: EXIT}


@pytest.mark.slow
def test_starts_that_kill_a_worker_are_isolated(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SURVEY, "CHUNK", 100)
    points = starts_with(BAD)
    before = children()
    with caplog.at_level(logging.WARNING, "descentlab"):
        s = dl.survey(dl.function(harmful, domain=BOX), starts=points, executor=2)
    is_isolated(s, BAD, points)
    assert children() == before
    assert [r.message.split(" at ")[0] for r in caplog.records] == [f"Start number {n}" for n in BAD]
    assert "signal SIGKILL" in caplog.records[0].message
    assert "exit status 1" in caplog.records[1].message


@pytest.mark.slow
def test_a_broken_process_pool_is_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(SURVEY, "CHUNK", 100)
    bad = {150: EXIT}
    points = starts_with(bad)
    with (
        caplog.at_level(logging.WARNING, "descentlab"),
        concurrent.futures.ProcessPoolExecutor(2, SPAWN) as pool,
    ):
        s = dl.survey(dl.function(harmful, domain=BOX), starts=points, executor=pool)
    is_isolated(s, bad, points)
    assert "The executor given broke" in caplog.records[0].message
    assert len(caplog.records) == 2


@pytest.mark.slow
def test_starts_that_all_kill_their_process_end_the_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CRASHES, "TRIED", 2)
    before = children()
    with pytest.raises(WorkError, match=r"Every start tried kills .* \(exit status 3\)"):
        dl.survey(dl.function(deadly, domain=BOX), starts=200, executor=1)
    assert children() == before


@pytest.mark.slow
def test_too_many_crashes_end_the_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CRASHES, "MOST_CRASHES", 0)
    points = starts_with({6: EXIT}, 20)
    with pytest.raises(WorkError, match=r"Start number 6 .*so did 0 starts before"):
        dl.survey(dl.function(harmful, domain=BOX), starts=points, executor=1)


@pytest.mark.slow
def test_an_exception_in_a_worker_names_its_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SURVEY, "CHUNK", 100)
    points = starts_with({150: RAISE})
    with pytest.raises(WorkError, match=r"number 100 to 199 could not be computed: .*refuses") as caught:
        dl.survey(dl.function(harmful, domain=BOX), starts=points, executor=2)
    assert "Traceback" in str(caught.value.__cause__)


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import descentlab as dl\ntry:\n    dl.survey(dl.formula('x^2'), starts=10, executor=1)\n"
        "except dl.WorkError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert "if __name__ == '__main__':" in done.stdout


# Dask


@contextlib.contextmanager
def cluster() -> Iterator[Any]:
    """Give a client of a cluster of two worker processes on this machine."""
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with cluster() as client:
        yield client


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_a_cluster_changes_no_bit(client: Any) -> None:
    scale = 0.7
    for f in (landscape("peaks"), dl.function(lambda x: scale * (x[0] ** 2 - 1) ** 2, domain={"x": (-2, 2)})):
        same(dl.survey(f, starts=3300), dl.survey(f, starts=3300, executor=client))


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_a_cluster_is_only_a_few_chunks_ahead(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, seen = [], []
    submit = client.submit
    monkeypatch.setattr(client, "submit", lambda *a, **k: sent.append(a) or submit(*a, **k))
    dl.survey(
        landscape("peaks"),
        starts=20_000,
        executor=client,
        progress=lambda s: seen.append(len(sent) - len(seen)),
    )
    assert len(seen) == 40
    assert len(sent) == 41  # the job itself is sent once
    assert max(seen) <= 6


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("run", range(int(os.environ.get("DESCENTLAB_KILLS", "2"))))
def test_a_killed_worker_of_a_cluster_costs_its_chunks(run: int) -> None:
    f = landscape("rastrigin", 3)
    killed = []

    def kill(seen: Any) -> None:
        if seen.starts == 500 * (2 + 3 * run % 20):
            killed.append(list(client.run(os.getpid).values())[run % 2])
            os.kill(killed[-1], signal.SIGKILL)

    with cluster() as client:
        s = dl.survey(f, starts=15_000, executor=client, progress=kill)
    assert len(killed) == 1
    same(dl.survey(f, starts=15_000), s)


@pytest.mark.slow
def test_starts_that_kill_workers_of_a_cluster_are_isolated(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SURVEY, "CHUNK", 100)
    bad = {150: EXIT}
    points = starts_with(bad)
    s = dl.survey(dl.function(harmful, domain=BOX), starts=points, executor=client)
    is_isolated(s, bad, points)


@pytest.mark.slow
def test_an_exception_on_a_cluster_names_its_starts(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SURVEY, "CHUNK", 100)
    points = starts_with({150: RAISE})
    with pytest.raises(WorkError, match=r"number 100 to 199 could not be computed: .*refuses"):
        dl.survey(dl.function(harmful, domain=BOX), starts=points, executor=client)


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_a_cluster_that_restarts_gets_its_chunks_again(client: Any) -> None:
    f = landscape("peaks")

    def restart(seen: Any) -> None:
        if seen.starts == 1500:
            client.restart(timeout=60)

    same(dl.survey(f, starts=6000), dl.survey(f, starts=6000, executor=client, progress=restart))


@pytest.mark.slow
def test_the_command_line_finds_a_scheduler(client: Any) -> None:
    survey = [*COMMAND, "survey", "himmelblau", "--starts=200", "--json"]
    address = client.scheduler.address
    plain, there = (
        subprocess.run([*survey, *more], capture_output=True, text=True, check=True)
        for more in ([], ["--scheduler", address])
    )
    assert plain.stdout == there.stdout
    assert there.stderr == ""
