"""A profile that cannot be run is refused with the key, the value and the remedy."""

import pytest

from nrsed_lib.errors import ProfileError
from nrsed_lib.profile import PROFILES, load_profile


@pytest.mark.parametrize("name", sorted(p.stem for p in PROFILES.glob("*.yaml")))
def test_every_committed_profile_loads(name):
    assert load_profile(name).name == name


def test_conditions_are_those_of_table_1():
    assert load_profile("paper").data.conditions == {"clean": None, "10dB": 10, "5dB": 5, "0dB": 0, "-5dB": -5}


def test_overrides_set_single_values_and_seed_is_short_for_seeds():
    profile = load_profile("mini", {"sed.train.steps": 7, "seed": 3})
    assert (profile.sed.train.steps, profile.seeds) == (7, [3])
    assert profile.sed.finetune == load_profile("mini").sed.finetune


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"sed.train.stps": 5}, ["sed.train.stps", "5"]),
        ({"sed.train.steps": "many"}, ["sed.train.steps", "many"]),
        ({"sed.train.steps": 0}, ["sed.train.steps", "0"]),
        ({"data.snrs_db": [0, 5, 10]}, ["snrs_db", "fall", "[10, 5, 0, -5]"]),
        ({"data.classes": ["Dog", "Dog"]}, ["Dog", "once"]),
        ({"data.noise_classes": ["Dog", "Rain"]}, ["Dog", "remove"]),
        ({"sed.crnn.pooling": [[2, 2]]}, ["pooling", "nb_filters"]),
        ({"sed.mel.f_max": 9000}, ["f_max", "8000"]),
        ({"sed.finetune.curriculum": [{"share": 0.4, "snr_db": None}]}, ["0.4", "add up to 1"]),
        ({"sed.finetune.snr_db": [10, -10]}, ["(10, -10)", "low"]),
        ({"seeds": []}, ["seeds"]),
        ({"name": "a/b"}, ["a/b"]),
        ({"name.first": "x"}, ["name", "not a section"]),
    ],
)
def test_a_bad_value_is_named(overrides, named):
    with pytest.raises(ProfileError) as error:
        load_profile("mini", overrides)
    for text in named:
        assert text in str(error.value)


def test_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(ProfileError, match=r"no profile 'mimi'.*mini.*open.*paper"):
        load_profile("mimi")


def test_a_yaml_file_serves_as_a_profile(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text((PROFILES / "smoke.yaml").read_text().replace("name: smoke", "name: own"))
    assert load_profile(file).name == "own"


@pytest.mark.parametrize("text", ["[1, 2]", "a: [b", "just words"])
def test_a_file_that_is_no_profile_is_named(tmp_path, text):
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(ProfileError, match=r"broken\.yaml"):
        load_profile(file)


def test_audioset_strong_stands_for_its_whole_vocabulary():
    data = load_profile("paper").data
    assert len(data.noise_classes) == 447 and "Rain" in data.noise_classes and "Cat" in data.noise_classes
    with pytest.raises(ProfileError, match=r"noise_classes \['Cat', 'Dog', 'Speech'\] are target classes"):
        load_profile("paper", {"data.source": "recordings"})
