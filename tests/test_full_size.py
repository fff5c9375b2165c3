"""What the bench at the paper's sizes counts and concludes; its speeds are not tested."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from nrsed_lib.profile import load_profile
from tools import full_size, reading
from tools.full_size import consequences, flop, forward, report, row, shards


def test_flop_of_products_and_convolutions():
    linear = torch.nn.Linear(30, 50, bias=False)
    conv = torch.nn.Conv2d(3, 8, 3, padding=1, bias=False)
    assert flop(linear, torch.zeros(7, 30)) == 2 * 7 * 30 * 50
    assert flop(conv, torch.zeros(1, 3, 10, 12)) == 2 * 8 * 3 * 9 * 10 * 12


def test_the_median_turn_counts_and_the_first_does_not(monkeypatch):
    clock, takes = [0.0], iter([20, 1, 6, 1])
    monkeypatch.setattr(full_size, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def work():
        clock[0] += next(takes)

    assert forward(work, turns=3) == 1


def test_consequences_are_products_of_the_rates():
    profile = load_profile("paper")
    limit = {torch.float32: 1e12}
    table = pd.DataFrame(
        [
            row("ResUNet30 with DPRNN 6x256, float32, 1 at a time", "query", 1, 0.5, 240.0, limit[torch.float32]),
            row("BEATs, float32", "clip", 4, 2.0, 90.0, limit[torch.float32]),
            row("training step of stage 1", "clip", 96, 0.96),
            row("training step of stage 2", "clip", 96, 1.92),
            row("PSDS1 and PSDS2", "system", 1, 7.2),
        ]
    )
    assert table["share_of_limit"][0] == pytest.approx(0.48)  # two a second, 240 GFLOP each, of 1 TFLOP/s
    hours = consequences(table, profile).set_index("what")["hours"]
    assert hours["stage 1"] == pytest.approx(profile.sed.train.steps * 0.96 / 3600)
    assert hours["stage 2, one model"] == pytest.approx(profile.sed.finetune.steps * 1.92 / 3600)
    assert hours["separation, 7 systems x 5 conditions"] == pytest.approx(1168 * 5 * 10 * 0.5 / 3600)
    assert hours["scoring, 7 systems x 5 conditions"] == pytest.approx(35 * 7.2 / 3600)
    assert hours["embeddings of a million clips"] == pytest.approx(1e6 * 0.5 / 3600)
    assert hours["separation of a million clips"] == pytest.approx(2e6 * 0.5 / 3600)
    assert "48%" in report(table, consequences(table, profile), limit)


def test_a_shard_is_read_whole_in_both_orders_and_leaves_nothing(tmp_path, monkeypatch):
    taken = []
    real = reading.read
    monkeypatch.setattr(reading, "read", lambda path, rows, batch: taken.append((rows, real(path, rows, batch))))
    monkeypatch.setattr(reading, "fetched", iter(range(0, 10**9, 10**6)).__next__)  # each time a megabyte more
    measured = dict(reading.measure(tmp_path, 7, 100, 3, turns=2))
    assert list(measured) == [
        f"{order} from {place}" for place in ("memory", "disk") for order in ("in order", "at random")
    ]
    assert len(taken) == 1 + 2 * 4 and all(nb == 7 * 100 for _, nb in taken)
    in_order, at_random = taken[1][0], taken[2][0]
    assert in_order.tolist() == list(range(7)) == sorted(at_random.tolist()) != at_random.tolist()
    assert not list(tmp_path.iterdir())


def test_what_was_still_in_memory_is_not_called_a_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "fetched", lambda: 0)
    assert {name.partition(" from ")[2] for name, _ in reading.measure(tmp_path, 7, 100, 3, turns=1)} == {"memory"}


def test_rows_of_reading_are_on_the_shards_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("NRSED_CACHE", str(tmp_path))
    seen = []
    monkeypatch.setattr(reading, "measure", lambda folder, *rest: seen.append((folder, rest)) or [("in order", 2.0)])
    (made,) = shards(load_profile("paper"), 960, 3)
    assert (made["what"], made["unit"]) == ("reading a shard in order", "clip of 10 s, 96 at a time")
    assert made["per_second"] == 480 and made["seconds"] == pytest.approx(1 / 480)
    ((folder, rest),) = seen
    assert folder.parent == tmp_path / "desed-16000" and rest == (960, 160_000, 96, 3)
    assert not list(folder.parent.iterdir())
