"""Profiles are read as they are written; those that cannot be run are in faults/test_settings.py."""

import pytest

from nrsed_lib.profile import PROFILES, load_profile


@pytest.mark.parametrize("name", sorted(p.stem for p in PROFILES.glob("*.yaml")))
def test_every_committed_profile_loads(name):
    assert load_profile(name).name == name


def test_conditions_are_those_of_table_1():
    assert load_profile("paper").data.conditions == {"clean": None, "10dB": 10, "5dB": 5, "0dB": 0, "-5dB": -5}


def test_overrides_set_single_values_and_seed_is_short_for_seeds():
    profile = load_profile("mini", {"sed.train.steps": 70, "seed": 3})
    assert (profile.sed.train.steps, profile.seeds) == (70, [3])
    assert profile.sed.finetune == load_profile("mini").sed.finetune


def test_a_yaml_file_serves_as_a_profile(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text((PROFILES / "smoke.yaml").read_text().replace("name: smoke", "name: own"))
    assert load_profile(file).name == "own"


def test_audioset_strong_stands_for_its_whole_vocabulary():
    data = load_profile("paper").data
    assert len(data.noise_classes) == 447 and "Rain" in data.noise_classes and "Cat" in data.noise_classes
