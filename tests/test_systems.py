"""Systems as data: what is shared between them changes nothing."""

import statistics
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from nrsed_lib import testing
from nrsed_lib.artefacts import Run
from nrsed_lib.data.prepare import load_condition, load_empty, load_split
from nrsed_lib.data.vocabulary import query_text
from nrsed_lib.errors import ProfileError
from nrsed_lib.lass.separator import Separator
from nrsed_lib.profile import load_profile
from nrsed_lib.sed.detector import Detector, median_filter
from nrsed_lib.store import read_tensors
from nrsed_lib.systems import (
    MODELS,
    REVIEWER_ROWS,
    SYSTEMS,
    TAGGER,
    WEIGHT_POWER,
    Networks,
    Queries,
    System,
    asking,
    follow,
    follow_clip,
    models_of,
    systems_of,
)
from nrsed_lib.testing import score_mixtures, separate_and_remix


class Scaler:
    """A stand-in for separation that can be followed by hand: track = (query + 1) x mixture."""

    @staticmethod
    def separate(separator, mixtures, pairs, conditions, batch):
        assert len(pairs.unique(dim=0)) == len(pairs), "a pair was separated twice"
        return mixtures[pairs[:, 0]] * (pairs[:, 1:] + 1)


NETWORKS = SimpleNamespace(separator=None, conditions=None, batch=3)


@pytest.fixture
def scaler(monkeypatch):
    monkeypatch.setattr(testing, "separate", Scaler.separate)


def test_the_seven_systems_are_the_papers():
    asks = {name: s.queries for name, s in SYSTEMS.items() if len(name) == 1}
    who = {"2": "truth", "3": "all", "4": "theta", "5": "random", "6": "no_curriculum", "7": "full"}
    assert asks == {"1": None} | {name: Queries(of) for name, of in who.items()}
    assert SYSTEMS["1"].detectors == (("theta", "mixture"),)
    assert all(SYSTEMS[n].detectors == (("theta", "remix"),) for n in "234567")
    assert {m for s in SYSTEMS.values() for m, _ in s.detectors} == set(MODELS)
    assert [n for n in SYSTEMS if n.startswith("7")][:4] == ["7", "7-direct", "7-remix", "7-both"]


def test_a_reviewers_rows_are_left_out_unless_they_are_asked_for():
    assert [*systems_of(load_profile("mini"))] == [name for name in SYSTEMS if name not in REVIEWER_ROWS]
    assert models_of(load_profile("mini")) == ("theta", "random", "no_curriculum", "full")
    assert systems_of(load_profile("open")) == SYSTEMS and models_of(load_profile("open")) == MODELS
    with pytest.raises(ProfileError, match="reviewer_rows"):
        load_profile("mini", {"evaluate.reviewer_rows": True})  # no features of mn04


@pytest.mark.parametrize(
    ("queries", "asked"),
    [
        (Queries("full"), [0, 1, 0]),  # 0.5 is not above 0.5
        (Queries("truth"), [1, 0, 0]),
        (Queries("all"), [1, 1, 1]),
        (Queries("full", mended="no false"), [0, 0, 0]),
        (Queries("full", mended="no missed"), [1, 1, 0]),
        (Queries("full", "calibrated"), [1, 1, 0]),
        (Queries("full", "by class"), [0, 0, 1]),
        (Queries("full", "by class", "no missed"), [1, 0, 1]),
    ],
)
def test_queries_are_predictions_above_a_threshold_as_the_truth_mends_them(queries, asked):
    scores = {"truth": torch.tensor([[1.0, 0.0, 0.0]]), "full": torch.tensor([[0.5, 0.51, 0.49]])}
    thresholds = {"calibrated": {"full": torch.tensor(0.495)}, "by class": {"full": torch.tensor([0.5, 0.6, 0.4])}}
    assert queries.asked(scores, thresholds).int().tolist() == [asked]


def test_each_table_gets_the_mean_of_its_own_tracks(scaler):
    generator = torch.Generator().manual_seed(0)
    asked = torch.rand(5, 7, 4, generator=generator) < 0.4  # (nb_tables, nb_clips, nb_classes)
    asked[0, 0] = False
    mixtures = torch.randn(7, 50, generator=generator)
    remixes, which, energies = separate_and_remix(NETWORKS, mixtures, asked)
    for table in range(5):
        for clip in range(7):
            queries = asked[table, clip].nonzero().flatten().tolist()
            gain = sum(q + 1 for q in queries) / len(queries) if queries else 1.0
            torch.testing.assert_close(remixes[which[table, clip]], gain * mixtures[clip])
    assert len(remixes) < 5 * 7, "equal remixes were made more than once"
    gains_db = 20 * torch.log10(torch.arange(1.0, 5.0)).expand(7, 4)  # of a track against its mixture
    expected = gains_db.where(asked.any(0), torch.tensor(torch.nan))
    torch.testing.assert_close(energies, expected, equal_nan=True, atol=1e-4, rtol=0)


def test_without_any_query_every_mixture_passes(scaler):
    mixtures = torch.randn(3, 20)
    remixes, which, _ = separate_and_remix(NETWORKS, mixtures, torch.zeros(2, 3, 4, dtype=torch.bool))
    torch.testing.assert_close(remixes[which], mixtures.expand(2, 3, 20))


@pytest.fixture(scope="module")
def networks(smoke_data) -> Networks:
    """Untrained, but that no two detectors ask alike, and that some clips have no query and some several."""
    profile = smoke_data.profile
    detectors = {}
    for seed, model in enumerate(MODELS):
        torch.manual_seed(seed)
        detectors[model] = Detector(profile).eval()
        for values in detectors[model].crnn.parameters():
            values.data.mul_(1.5)
    texts = [query_text(name) for name in profile.data.classes]

    def tag(waveforms, features):
        return (waveforms[:, : len(texts)].sign() * (0.5 + features.mels.mean((1, 2))[:, None])).sigmoid()

    at = {name: torch.tensor(0.45 + 0.01 * i) for i, name in enumerate((*MODELS, TAGGER))}
    thresholds = {"calibrated": at, "by class": at}
    separator = Separator(profile.lass).eval()
    return Networks(detectors, separator, texts, batch=2, askers={TAGGER: tag}, thresholds=thresholds)


def test_every_system_scores_as_one_clip_at_a_time_does(smoke_data, networks):
    """The shared, batched way against the plain one; products of batches of another size are rounded otherwise."""
    clips, condition = load_split(smoke_data, "test"), [*smoke_data.profile.data.conditions][-1]
    mixtures, labels = load_condition(smoke_data, condition), clips.weak()
    with torch.inference_mode():
        asked = {who: networks.clip_scores(who, mixtures) > 0.5 for who in (*MODELS, TAGGER)}
    number = torch.cat([table.sum(1) for table in asked.values()])
    assert len({table.numpy().tobytes() for table in asked.values()}) == len(asked)
    assert (number == 0).any() and (number > 1).any()
    scores, clip_scores, _ = score_mixtures(networks, mixtures, labels, SYSTEMS, clips_at_once=3)
    assert list(scores) == list(SYSTEMS)
    for name, system in SYSTEMS.items():
        routes = [follow(system, networks, mixture, truth) for mixture, truth in zip(mixtures, labels, strict=True)]
        plain = torch.stack([route.frame_scores for route in routes])
        torch.testing.assert_close(scores[name], plain, atol=1e-5, rtol=0, msg=lambda m, n=name: f"system {n}: {m}")
        if system.queries and system.queries.who in clip_scores:
            written = torch.stack([route.clip_scores for route in routes])
            torch.testing.assert_close(clip_scores[system.queries.who], written, atol=1e-5, rtol=0)
    with torch.inference_mode():
        highest = networks.detectors["full"](mixtures)[0].amax(-1)
    torch.testing.assert_close(clip_scores["full, any frame"], highest, atol=1e-5, rtol=0)
    assert not torch.allclose(scores["1"], scores["7"], atol=1e-3), "separation must matter for this to say something"


def test_what_is_heard_is_averaged_smoothed_and_weighed(networks):
    """Frame by frame and by hand: the mean of the detectors, the middle of its neighbours, times what the clip says."""
    rng = np.random.default_rng(0)
    heard, clip_scores = rng.uniform(size=(3, 2, 4, 30)), rng.uniform(size=(2, 2, 4))
    names = dict(zip(("theta", TAGGER), torch.from_numpy(clip_scores), strict=True))
    for frames, weighed in ((None, ()), (11, ()), (11, ("theta",)), (11, ("theta", TAGGER))):
        system = System("by hand", None, median_frames=frames, weighed=weighed)
        decided = networks.decide(system, list(torch.from_numpy(heard)), names)
        half = (frames or networks.median_frames) // 2
        for clip, c, t in product(range(2), range(4), range(30)):
            near = [heard[:, clip, c, min(max(i, 0), 29)].mean() for i in range(t - half, t + half + 1)]
            expected = statistics.median(near)
            for who in weighed:
                expected *= float(names[who][clip, c]) ** WEIGHT_POWER
            assert decided[clip, c, t].item() == pytest.approx(expected, rel=1e-12)


def test_who_weighs_has_heard_the_mixture():
    weighed = System("weighed", Queries("truth"), (("full", "remix"),), weighed=("theta", TAGGER))
    assert asking([weighed]) == {("theta", "mixture"), (TAGGER, "mixture")}
    assert asking([SYSTEMS["1"], SYSTEMS["3"]]) == set() and asking([SYSTEMS["7"]]) == {("full", "mixture")}


def test_a_route_is_followed_to_its_end(smoke_data, networks):
    mixture, labels = load_condition(smoke_data, "clean", [0])[0], load_split(smoke_data, "test").weak()[0]
    route = follow(SYSTEMS["2"], networks, mixture, labels)
    assert route.queries == labels.nonzero().flatten().tolist()
    torch.testing.assert_close(route.remix, sum(route.tracks) / len(route.tracks))
    silent = follow(SYSTEMS["2"], networks, mixture, torch.zeros_like(labels))
    assert (silent.queries, silent.tracks) == ([], [])
    assert torch.equal(silent.remix, mixture)
    assert torch.equal(silent.frame_scores, follow(SYSTEMS["1"], networks, mixture, labels).frame_scores)


@pytest.fixture
def run(smoke_data, networks, tmp_path, monkeypatch) -> Run:
    """Of notebook 06, with the untrained networks and a folder of its own."""
    run = Run(smoke_data.profile, "06", smoke_data.seed)
    vars(run)["folder"] = tmp_path
    monkeypatch.setattr(Networks, "of", lambda run, models=None, profile=None: networks)
    return run


def test_a_test_set_is_scored_once_and_its_costs_are_counted(run, networks, monkeypatch):
    """Seconds are of this machine; what is counted by them is not: #1 detects once, #4 on mixture and remix."""
    monkeypatch.setattr(testing, "_seconds", lambda networks, mixtures: (1.0, 100.0))
    testing.test_systems(run, "clean")
    left = sorted(path.name for path in run.folder.glob("*.safetensors"))
    assert left == [f"{what}_clean.safetensors" for what in ("energies", "queries", "scores")]
    testing.test_systems(run)
    tables, truth = testing.asked_tables(run, "clean")
    asked = {SYSTEMS[name].queries.who: table.sum().item() / len(truth) for name, table in tables.items()}
    costs = testing.measure_costs(run).query("condition == 'clean'").set_index("system").seconds_per_clip
    expected = {"1": 1, "2": 1 + 100 * asked["truth"], "3": 1 + 100 * asked["all"], "4": 2 + 100 * asked["theta"]}
    expected |= {"7": 2 + 100 * asked["full"], "7-direct": 1, "7-both": 2 + 100 * asked["full"]}
    assert costs[list(expected)].to_dict() == pytest.approx(expected)
    followed = follow_clip(run, 0, "clean", "full")
    scores = read_tensors(run.folder / "scores_clean.safetensors")[0]
    for name, frames in (("1", followed.before), ("7", followed.after)):
        torch.testing.assert_close(scores[name][0].float(), frames, atol=1e-3, rtol=0)  # float16 on disk
    table = testing.measure_energies(run).query("condition == 'clean'")
    by_class = table[table["class"] != "all"].groupby("class").nb_tracks.sum()
    assert by_class.to_dict() == dict.fromkeys(run.profile.data.classes, len(truth))
    there = table.query("`class` == 'all' and present").nb_tracks.sum(), truth.sum().item()
    assert there[0] == there[1] > 0
    everything = follow(SYSTEMS["3"], networks, followed.mixture, truth[0].float())
    loud = [10 * (t.square().sum() / followed.mixture.square().sum()).log10().item() for t in everything.tracks]
    energies = read_tensors(run.folder / "energies_clean.safetensors")[0]["energies"]
    torch.testing.assert_close(energies[0], torch.tensor(loud), atol=0.01, rtol=0)


def test_false_alarms_are_counted_in_clips_that_hold_no_target(run, networks):
    clips, _ = load_empty(run)
    found = testing.measure_false_alarms(run).set_index(["what", "who", "threshold"]).share
    with torch.inference_mode():
        strong, weak = networks.detectors["full"](clips.waveforms())
    assert found["asks", "full", "half"] == (weak > 0.5).any(1).float().mean()
    asked = weak > networks.thresholds["calibrated"]["full"]
    assert found["asks", "full", "calibrated"] == asked.any(1).float().mean()
    heard = median_filter(strong, networks.median_frames) > 0.5
    assert found["detects", "7-direct", "half"] == heard.flatten(1).any(1).float().mean()
    assert {who for what, who, _ in found.index if what == "detects"} & {"2", "3", "7-right"} == set()


def test_what_is_timed_is_detecting_and_separating(smoke_data, networks):
    detect, separation = testing._seconds(networks, load_condition(smoke_data, "clean")[:2])
    assert 0 < detect < 60 and 0 < separation < 60
