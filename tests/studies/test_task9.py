"""Training as the baseline, on sounds of the profile; what is measured; how it is summed up."""

import numpy as np
import pandas as pd
import pytest
import torch

from nrsed_lib.artefacts import Run, open_run, run_folder
from nrsed_lib.data.prepare import load_sources
from nrsed_lib.errors import StoreError
from nrsed_lib.lass.separator import Separator
from nrsed_lib.studies.task9 import study as task9
from nrsed_lib.studies.task9.results import by_seed, by_snr, difference, summary
from nrsed_lib.studies.task9.sounds import ClassByClass
from nrsed_lib.studies.task9.variants import NETWORKS, OTHER_LOSS, variants
from nrsed_lib.studies.texts.captions import captions_of
from nrsed_lib.studies.trials import Trial, trials


def planned(run: Run) -> list[Trial]:
    return trials(variants(run.profile), run.profile.studies.seeds)


@pytest.fixture(scope="module")
def run(smoke_data):
    return open_run("09", "smoke")


@pytest.fixture(scope="module")
def table(run):
    return task9.study(run)


def test_every_trial_is_trained_once_and_measured(run, table) -> None:
    nb = run.profile.studies.task9.nb_validation
    assert table.groupby(["variant", "seed"]).size().to_dict() == {(t.variant, t.seed): nb for t in planned(run)}
    np.testing.assert_allclose(table.sdri, table.sdr - table.sdr_in, atol=1e-4)
    quiet = table.snr < 14  # louder mixtures may have been scaled against clipping, which changes nothing either
    np.testing.assert_allclose(table.sdr_in[quiet], table.snr[quiet], atol=1e-3)
    for trial in planned(run):
        history = pd.read_csv(run.folder / f"{trial.name}-history.csv")
        assert len(history) == run.profile.studies.task9.steps and np.isfinite(history.loss).all()
        assert not (run.folder / f"{trial.name}.checkpoint.pt").exists()
    weights = run.folder / f"{trial.name}.safetensors"
    before = weights.stat().st_mtime_ns
    (run.folder / f"{trial.name}.csv").unlink()
    again = task9.study(run, only=trial.name)
    assert weights.stat().st_mtime_ns == before, "trained again"
    theirs = table[table.variant == trial.variant].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, theirs)


def test_the_networks_differ_in_the_dprnn_alone(run) -> None:
    plain, dp = (Separator(task9.network(run.profile, name)).state_dict() for name in NETWORKS)
    more = set(dp) - set(plain)
    assert set(plain) < set(dp) and all("DPRNN" in name for name in more)
    assert set(Separator(task9.network(run.profile, OTHER_LOSS)).state_dict()) == set(dp)


def test_the_loss_is_the_mean_absolute_error(run) -> None:
    torch.manual_seed(0)
    separator = Separator(task9.network(run.profile, NETWORKS[0])).eval()
    mixtures, targets = torch.randn(2, 3, 4000) * 0.1
    conditions = separator.embed(["a dog", "rain", "wind"])
    loss = task9.waveform_error(separator, mixtures, targets, conditions)["loss"].mean
    error = (separator(mixtures, conditions) - targets).detach().numpy()
    assert loss.item() == pytest.approx(np.abs(error).mean(), rel=1e-5)
    assert all(
        torch.isfinite(term.mean)
        for term in task9.LOSSES[OTHER_LOSS](separator, mixtures, targets, conditions).values()
    )


def test_queries_are_captions_of_the_target_and_ratios_are_in_range(run) -> None:
    sources = load_sources(run, "train")
    captions = captions_of(sources.by_label)
    sounds = ClassByClass(sources, 16000, captions)
    owner = {text: name for name, c in captions.items() for text in (c.original, *c.augmented["paraphrase"])}
    drawn = sounds.draw(64, torch.Generator().manual_seed(0))
    apart = sounds.mixer.draw_apart(64, 2, (0, 0), torch.Generator().manual_seed(0))
    assert [owner[query] for query in drawn.queries] == [sounds.mixer.labels[i] for i in apart.classes[:, 0]]
    assert len(set(drawn.queries)) > len(sources.by_label), "one wording a class"
    mixtures, targets = task9.training_mixtures(drawn, (-10, 10), torch.Generator().manual_seed(1))
    here = (targets.square().mean(1) > 0) & ((mixtures - targets).square().mean(1) > 0)
    ratio = 10 * (targets.square().mean(1) / (mixtures - targets).square().mean(1))[here].log10()
    assert ratio.min() >= -10.01 and ratio.max() <= 10.01 and ratio.max() - ratio.min() > 15


def test_a_short_training_learns() -> None:
    """Two tones far apart, each asked for by name: the loss must fall well below that of silence."""
    run = open_run("09", "smoke")
    torch.manual_seed(0)
    separator = Separator(task9.network(run.profile, NETWORKS[1]))
    optimiser = torch.optim.AdamW(separator.parameters(), lr=3e-2)
    t = torch.arange(4000) / 16000
    tones = torch.stack([torch.sin(2 * torch.pi * f * t) for f in (400, 3000)]) * 0.3
    mixtures = tones.sum(0).repeat(2, 1)
    for _ in range(40):
        loss = task9.waveform_error(separator, mixtures, tones, separator.embed(["a hum", "a whistle"]))["loss"].mean
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * tones.abs().mean().item()


def test_an_untrained_network_says_how_to_make_it(run) -> None:
    with pytest.raises(StoreError, match="made by 09_dcase_task9"):
        task9.load_trial(run, Trial("AudioSep", 99))


def test_a_name_of_a_part_is_a_name_of_a_file(run) -> None:
    assert all(run_folder(run.profile, "09", 0) / trial.name for trial in planned(run))
    assert [t.name for t in planned(run)] == [f"{v}-seed0" for v in (*NETWORKS, OTHER_LOSS)]


def invented(gap: float, nb: int = 60, seeds: tuple[int, ...] = (0, 1)) -> pd.DataFrame:
    """Two variants on the same mixtures, one better by `gap` dB on each but for a little noise."""
    random = np.random.default_rng(0)
    hard = random.normal(3, 6, nb)  # what both share
    rows = [
        pd.DataFrame({"variant": v, "seed": s, "source": range(nb), "noise": 0, "snr": np.arange(nb) % 31 - 15,
                      "caption": "x", "sdr": hard + g + random.normal(0, 0.1, nb), "sdri": hard, "si_sdr": hard,
                      "sdr_trained": hard})
        for v, g in (("AudioSep", 0.0), ("AudioSep-DP", gap)) for s in seeds
    ]  # fmt: skip
    return pd.concat(rows, ignore_index=True)


def test_a_difference_is_judged_by_pairs() -> None:
    """Means over 60 mixtures are sure to 0.8 dB; a difference of 0.3 dB on each of them is sure nevertheless."""
    row = difference(invented(0.3), "AudioSep-DP", "AudioSep").iloc[0]
    assert row.verdict == "better" and 0.2 < row.low < row.difference < row.high < 0.4 and row.share_higher > 0.9
    assert difference(invented(0.3), "AudioSep", "AudioSep-DP").verdict[0] == "worse"
    assert difference(invented(0.0), "AudioSep-DP", "AudioSep").verdict[0] == "undecided"


def test_summary_and_ranges() -> None:
    table = invented(1.0)
    means = summary(table).set_index("variant")
    expected = [by_seed(table, "AudioSep", "sdr").mean(), by_seed(table, "AudioSep", "sdr").mean(1).std(ddof=1)]
    assert [means.sdr["AudioSep"], means.spread["AudioSep"]] == pytest.approx(expected)
    assert means.published_sdr.to_dict() == {"AudioSep": 5.708, "AudioSep-DP": 8.10}
    assert means.nb_mixtures.tolist() == [60, 60] and means.nb_seeds.tolist() == [2, 2]
    ranges = by_snr(table)
    assert ranges.groupby("variant").nb.sum().tolist() == [60, 60] and len(ranges) == 10
    weighted = (ranges.sdr * ranges.nb).groupby(ranges.variant).sum() / 60
    assert weighted["AudioSep"] == pytest.approx(means.sdr["AudioSep"])
