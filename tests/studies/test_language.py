"""Systems #8 to #10: queries from outside the detectors, and what each of the three differs in from #7."""

import pytest
import torch

from nrsed_lib import testing
from nrsed_lib.artefacts import open_run
from nrsed_lib.errors import StoreError
from nrsed_lib.sed.detector import Features, median_filter
from nrsed_lib.studies.language.systems import CLAIMS, MORE, PARSED
from nrsed_lib.systems import SYSTEMS, Networks, Queries, System
from nrsed_lib.testing import score_mixtures

NB_CLIPS, NB_CLASSES, NB_SAMPLES = 5, 3, 40


class Detector(torch.nn.Module):
    """Frame scores are the waveform itself, times the class number; nothing is predicted of the clip."""

    def features(self, waveforms):
        return Features(waveforms, None)

    def detect(self, features):
        frames = features.mels[:, None, :] * torch.arange(1, NB_CLASSES + 1)[:, None]
        return frames, torch.zeros(len(features.mels), NB_CLASSES)

    def forward(self, waveforms):
        return self.detect(self.features(waveforms))


class Separator:
    @staticmethod
    def embed(texts):
        return torch.tensor([[float(len(text))] for text in texts])


def test_who_is_not_a_detector_can_ask(monkeypatch):
    """The track of a query is the mixture times its condition, so the remix can be followed by hand."""

    def separate(separator, mixtures, pairs, conditions, batch):
        return mixtures[pairs[:, 0]] * conditions[pairs[:, 1]]

    monkeypatch.setattr(testing, "separate", separate)
    generator = torch.Generator().manual_seed(0)
    mixtures = torch.randn(NB_CLIPS, NB_SAMPLES, generator=generator)
    asked = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]]).float()
    heard = []

    def ask(waveforms, _):
        heard.append(waveforms)
        start = sum(len(w) for w in heard[:-1])
        return asked[start : start + len(waveforms)]

    texts = ["a", "bb", "cccc"]
    networks = Networks({"theta": Detector()}, Separator(), texts, 2, 3, {"outside": ask})
    systems = {"8": System("asked from outside", Queries("outside"))}
    scores, queries, _ = score_mixtures(networks, mixtures, torch.zeros(NB_CLIPS, NB_CLASSES), systems, 2)
    assert torch.equal(torch.cat(heard), mixtures), "the asker heard the clips, each once"
    assert torch.equal(queries["outside"], asked)
    gains = torch.tensor([(1 + 4) / 2, 1.0, 2.0, (1 + 2 + 4) / 3, 4.0])
    expected = (gains[:, None] * mixtures)[:, None, :] * torch.arange(1, NB_CLASSES + 1)[:, None]
    torch.testing.assert_close(scores["8"], median_filter(expected, 3))
    assert list(scores) == ["8"]


def test_each_of_the_three_changes_one_thing_of_the_one_before():
    seven = SYSTEMS["7"]
    assert MORE["8"].system.queries == Queries(PARSED) and MORE["8"].separator == "separator"
    assert MORE["9"].system.queries == seven.queries and MORE["9"].wording == "name"
    assert MORE["10"].system.queries == seven.queries and MORE["10"].separator == MORE["9"].separator
    assert {m.system.detectors for m in MORE.values()} == {seven.detectors}


def test_claims_are_about_systems_that_are_there():
    known = set(SYSTEMS) | set(MORE)
    assert all(set(claim.better) | set(claim.worse) <= known for claim in CLAIMS)


def test_notebook_12_reads_what_06_and_11_left():
    run = open_run("12", "smoke")
    with pytest.raises(StoreError, match="06_lass_testing"):
        run.find("scores_clean")
