"""Systems as data: what is shared between them changes nothing."""

import pytest
import torch

from nrsed_lib import systems
from nrsed_lib.systems import MODELS, SYSTEMS, query_table, separate_and_remix


class Scaler:
    """A stand-in for separation that can be followed by hand: track = (query + 1) x mixture."""

    @staticmethod
    def separate(separator, mixtures, pairs, conditions, batch):
        assert len(pairs.unique(dim=0)) == len(pairs), "a pair was separated twice"
        return mixtures[pairs[:, 0]] * (pairs[:, 1:] + 1)


@pytest.fixture
def scaler(monkeypatch):
    monkeypatch.setattr(systems, "separate", Scaler.separate)


def test_the_seven_systems_are_the_papers():
    asks = {name: s.queries for name, s in SYSTEMS.items() if len(name) == 1}
    assert asks == {
        "1": None, "2": "truth", "3": "all", "4": "theta", "5": "random", "6": "no_curriculum", "7": "full",
    }  # fmt: skip
    assert SYSTEMS["1"].detectors == (("theta", "mixture"),)
    assert all(SYSTEMS[n].detectors == (("theta", "remix"),) for n in "234567")
    assert {m for s in SYSTEMS.values() for m, _ in s.detectors} == set(MODELS)
    assert [n for n in SYSTEMS if n.startswith("7")] == ["7", "7-direct", "7-remix", "7-both"]


def test_queries_are_predictions_above_one_half():
    table = query_table({"truth": torch.tensor([[1.0, 0.0, 0.0]]), "full": torch.tensor([[0.5, 0.51, 0.49]])})
    assert table["full"].tolist() == [[False, True, False]]
    assert table["truth"].tolist() == [[True, False, False]]
    assert table["all"].tolist() == [[True, True, True]]


def test_each_table_gets_the_mean_of_its_own_tracks(scaler):
    generator = torch.Generator().manual_seed(0)
    asked = torch.rand(5, 7, 4, generator=generator) < 0.4  # (nb_tables, nb_clips, nb_classes)
    asked[0, 0] = False
    mixtures = torch.randn(7, 50, generator=generator)
    remixes, which = separate_and_remix(None, mixtures, asked, None, 3)
    for table in range(5):
        for clip in range(7):
            queries = asked[table, clip].nonzero().flatten().tolist()
            gain = sum(q + 1 for q in queries) / len(queries) if queries else 1.0
            torch.testing.assert_close(remixes[which[table, clip]], gain * mixtures[clip])
    assert len(remixes) < 5 * 7, "equal remixes were made more than once"


def test_without_any_query_every_mixture_passes(scaler):
    mixtures = torch.randn(3, 20)
    remixes, which = separate_and_remix(None, mixtures, torch.zeros(2, 3, 4, dtype=torch.bool), None, 3)
    torch.testing.assert_close(remixes[which], mixtures.expand(2, 3, 20))
