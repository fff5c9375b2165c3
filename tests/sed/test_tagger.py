"""AudioSet's labels, read as the profile's classes."""

import numpy as np
import pytest
import torch

from nrsed_lib.data.ontology import LABELS, labels_under, load_ontology
from nrsed_lib.errors import DownloadError
from nrsed_lib.profile import load_profile, rows
from nrsed_lib.sed.detector import Features
from nrsed_lib.sed.encoders.mn04 import Mn04Encoder
from nrsed_lib.sed.tagger import Tagger, load_tagger

NAMES = load_ontology().names


def names_under(label: str) -> set[str]:
    ids = [row["id"] for row in rows(LABELS)]
    return {NAMES[ids[number]] for number in labels_under(label)}


def test_the_labels_stand_in_audiosets_order():
    """Its list of 527 labels, as everybody trains with it: some numbers that are known of it."""
    ids = [row["id"] for row in rows(LABELS)]
    assert len(set(ids)) == 527
    known = {0: "Speech", 74: "Dog", 81: "Cat", 137: "Music", 300: "Vehicle", 377: "Vacuum cleaner", 500: "Silence"}
    assert {number: NAMES[ids[number]] for number in known} == known
    assert NAMES[ids[526]] == "Field recording"


def test_a_class_has_the_labels_that_the_ontology_puts_under_it():
    assert names_under("Blender") == {"Blender"}
    assert names_under("Electric_shaver_toothbrush") == {"Electric shaver, electric razor", "Electric toothbrush"}
    assert {"Dog", "Bark", "Howl"} <= names_under("Dog") and "Canidae, dogs, wolves" not in names_under("Dog")
    assert {"Smoke detector, smoke alarm", "Telephone bell ringing"} <= names_under("Alarm_bell_ringing")
    assert {"Child speech, kid speaking", "Conversation"} <= names_under("Speech")
    assert "Singing" not in names_under("Speech")
    for label in load_profile("paper").data.classes:
        assert names_under(label), f"nothing tells {label}"


def test_a_class_is_as_likely_as_the_likeliest_label_under_it():
    classes = ("Cat", "Blender")
    logits = torch.randn(3, 527, generator=torch.Generator().manual_seed(0))
    tagger = Tagger(lambda features: logits, classes)
    told = tagger(torch.zeros(3, 1), Features(torch.zeros(3, 1, 1), torch.zeros(3, 8, 2)))
    expected = [[max(1 / (1 + np.exp(-row[i])) for i in labels_under(c)) for c in classes] for row in logits.tolist()]
    np.testing.assert_allclose(told, expected, rtol=1e-5)


@torch.no_grad()
def test_beeps_are_told_by_the_published_weights():
    """End to end, from features as a detector shares them: mn04's own label for what is synthesised here."""
    profile = load_profile("open")
    try:
        encoder, tagger = Mn04Encoder(profile.data.sample_rate), load_tagger(profile)
    except DownloadError as error:
        pytest.skip(f"the weights of mn04 are neither cached nor to be had: {error}")
    seconds = torch.arange(profile.data.nb_samples) / profile.data.sample_rate
    beeps = torch.sin(2 * torch.pi * 3000 * seconds) * (seconds % 0.25 < 0.12)  # a smoke detector's
    hiss = 0.1 * torch.randn(profile.data.nb_samples, generator=torch.Generator().manual_seed(0))
    waveforms = torch.stack([beeps, hiss])
    told = tagger.cpu()(waveforms, Features(waveforms, encoder(waveforms)))
    assert told.shape == (2, len(profile.data.classes))
    alarm = profile.data.classes.index("Alarm_bell_ringing")
    assert told[0].argmax() == alarm and told[0, alarm] > 3 * told[1, alarm]
