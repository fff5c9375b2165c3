"""What the bench at the paper's sizes counts and concludes, and how measurements are kept; speeds are not tested."""

from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from nrsed_lib.lass.sizes import count_gflop
from nrsed_lib.profile import load_profile
from nrsed_lib.run import measurements
from nrsed_lib.run.budget import consequences
from tools import bench, full_size, measuring, reading, workload
from tools.full_size import cost, shards
from tools.measuring import Measurement
from tools.pages_bench import bench_page


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Measurements are kept elsewhere, of one clean state of the code."""
    monkeypatch.setattr(measurements, "FILE", tmp_path / "measurements.json")
    monkeypatch.setattr(measuring, "commit", lambda: "abc")
    return tmp_path / "measurements.json"


def on_machine(monkeypatch, gpu):
    for module in (measurements, measuring):
        monkeypatch.setattr(module, "machine", lambda: {"gpu": gpu, "cpu": "a CPU", "cores": 4})


def test_flop_of_products_and_convolutions():
    linear = torch.nn.Linear(30, 50, bias=False)
    conv = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert count_gflop(linear, lambda: linear(torch.zeros(7, 30))) == 2 * 7 * 30 * 50 / 1e9
    assert count_gflop(conv, lambda: conv(torch.zeros(1, 3, 10, 12))) == 2 * 8 * 3 * 9 * 10 * 12 / 1e9


def test_the_median_turn_counts_and_the_first_does_not(monkeypatch):
    clock, takes = [0.0], iter([20, 2, 1, 9, 6, 3, 1, 3])
    monkeypatch.setattr(workload, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def work():
        clock[0] += next(takes)

    assert workload.seconds(work, work, turns=3) == [1, 3]


def test_consequences_are_products_of_the_rates(file, monkeypatch):
    profile = load_profile("paper")
    rows = [
        *cost("resunet30_dprnn.float32.batch1", "a query", 0.5, 240.0, 1e12),
        *cost("resunet30_dprnn.bfloat16.batch1", "a query", 0.75),
        *cost("beats.float32", "a clip", 0.5, 90.0, 1e12),
        *cost("stage1", "a clip", 0.01),
        *cost("stage2", "a clip", 0.02),
        *cost("psds", "a system", 7.2),
    ]
    of = {m.key: m.value for m in rows}
    assert of["sizes.resunet30_dprnn.float32.batch1.share_of_limit"] == pytest.approx(
        0.48
    )  # 240 GFLOP in half a second
    hours = consequences(of, profile)["hours"]
    batch = sum(profile.sed.batch.model_dump().values())
    assert hours["stage1"] == pytest.approx(profile.sed.train.steps * batch * 0.01 / 3600)
    noisy = 24 * (0 + 1 / 2 + 2 / 3 + 3 / 4 + 4 / 5) / 5  # of a batch, on average: strong clips of noisy parts
    seconds = {"stage2": 0.02 * noisy + 0.01 * (batch - noisy), "stage2_no_curriculum": 0.02 * 24 + 0.01 * (batch - 24)}
    for name, a_step in seconds.items():
        assert hours[name] == pytest.approx(profile.sed.finetune.steps * a_step / 3600)
    assert hours["separation"] == pytest.approx(1168 * 5 * 10 * 0.5 / 3600)
    assert hours["scoring"] == pytest.approx(16 * 5 * 7.2 / 3600)
    assert hours["a_million_embedded"] == pytest.approx(1e6 * 0.5 / 3600)
    assert hours["a_million_separated"] == pytest.approx(2e6 * 0.5 / 3600)
    assert consequences({"sizes.beats.float32.time": 1}, profile)["hours"].dropna().index.tolist() == [
        "a_million_embedded"
    ]
    on_machine(monkeypatch, None)
    measuring.add(rows, "a command", 2)
    text = bench_page(file)
    assert "## a CPU, 4 cores" in text and "`a command` at commit abc" in text
    assert f"| stage1 | {hours['stage1']:.3g} | {profile.sed.train.steps} steps of {batch} clips |" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| resunet30_dprnn.float32.batch1 |")]
    assert " 0.48 " in row and " 240 " in row and " 0.5 " in row


def test_keys_replace_themselves_and_nothing_else(file, monkeypatch):
    on_machine(monkeypatch, None)
    measuring.add([Measurement("a.b.x", 1, "s", "one"), Measurement("a.c.x", 2, "s", "one")], "first", 2)
    measuring.add([Measurement("a.b.x", 3, "s", "one")], "second", 1)
    on_machine(monkeypatch, "a GPU")
    assert measurements.here() == {}
    measuring.add([Measurement("a.b.x", 4, "s", "one")], "third", 1)
    assert {name: measurements.values(of) for name, of in measurements.every().items()} == {
        "a CPU, 4 cores": {"a.b.x": 3, "a.c.x": 2},
        "a GPU, 4 cores": {"a.b.x": 4},
    }
    facts = measurements.every()["a CPU, 4 cores"]["a.b.x"]
    assert (facts["unit"], facts["on"], facts["command"], facts["threads"]) == ("s", "one", "second", 1)
    assert list(facts["trees"]) == ["nrsed_lib", "tools"] and facts["commit"] == "abc" and facts["date"]


def test_what_is_current_is_measured_once_and_a_killed_bench_goes_on(file, monkeypatch):
    done = []

    def measured(name, fails=False):
        def work(profile, turns):
            if fails and len(done) == 1:
                raise KeyboardInterrupt
            done.append((name, profile.name, turns))
            yield Measurement(f"{name}.x", 1, "s", "one")

        return work

    monkeypatch.setattr(bench, "BENCHES", {"a.b": ("smoke", measured("a.b")), "a.c": ("mini", measured("a.c", True))})
    command = bench.typer.Typer()
    command.command()(bench.main)

    def run(*words):
        return CliRunner().invoke(command, [*words, "--turns", "2"])

    assert run("--only", "a").exit_code != 0 and list(*measurements.every().values()) == ["a.b.x"]
    done.append(None)  # alive again
    assert run("--only", "a").exit_code == 0 and done == [("a.b", "smoke", 2), None, ("a.c", "mini", 2)]
    run("--only", "a.b.x", "--again")
    assert done[3:] == [("a.b", "smoke", 2)]
    monkeypatch.setattr(measuring, "trees", lambda: {"nrsed_lib": "another"})
    run("--only", "a.c", "--profile", "smoke")
    assert done[4:] == [("a.c", "smoke", 2)]
    assert list(*measurements.every().values()) == ["a.b.x", "a.c.x", "a-smoke.c.x"], "another profile, other keys"
    run("--only", "a.b")
    assert done[5:] == [("a.b", "smoke", 2)], "measured again as the code changed"
    listed = run("--list").output.split()
    assert {"a.b", "a.c", "precision.open-seed1"} <= set(listed) and len(done) == 6
    assert "nothing is measured as z" in " ".join(run("--only", "z").output.split())


def test_a_shard_is_read_whole_in_both_orders_and_leaves_nothing(tmp_path, monkeypatch):
    taken = []
    real = reading.read
    monkeypatch.setattr(reading, "read", lambda path, rows, batch: taken.append((rows, real(path, rows, batch))))
    monkeypatch.setattr(reading, "fetched", iter(range(0, 10**9, 10**6)).__next__)  # each time a megabyte more
    measured = reading.measure(tmp_path, 7, 100, 3, turns=2)
    assert list(measured) == [f"{order}.{place}" for place in ("memory", "disk") for order in ("in_order", "at_random")]
    assert len(taken) == 1 + 2 * 4 and all(nb == 7 * 100 for _, nb in taken)
    in_order, at_random = taken[1][0], taken[2][0]
    assert in_order.tolist() == list(range(7)) == sorted(at_random.tolist()) != at_random.tolist()
    assert not list(tmp_path.iterdir())


def test_what_was_still_in_memory_is_not_called_a_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "fetched", lambda: 0)
    assert {name.partition(".")[2] for name in reading.measure(tmp_path, 7, 100, 3, turns=1)} == {"memory"}


def test_rows_of_reading_are_on_the_shards_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path))
    seen = []
    monkeypatch.setattr(
        reading, "measure", lambda folder, *rest: seen.append((folder, rest)) or {"in_order.memory": 2.0}
    )
    made = next(shards(load_profile("paper"), 3))
    assert made[:3] == ("sizes.shard.in_order.memory.time", 2 / full_size.SHARD_CLIPS, "s")
    ((folder, rest),) = seen
    assert folder.parent == tmp_path / "desed-16000" and rest == (960, 160_000, 96, 3)
    assert not list(folder.parent.iterdir())
