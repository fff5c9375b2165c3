"""The captioner: its words, what it hears, what it says of it, and that both are learned; any published one instead."""

import json
from pathlib import Path

import pytest
import torch

from nrsed_lib.artefacts import Run, open_run
from nrsed_lib.data.clips import Sources
from nrsed_lib.lass.mixtures import Mixer
from nrsed_lib.profile import load_profile
from nrsed_lib.studies.opensep import captioner_training as captioner_train
from nrsed_lib.studies.opensep.caption_words import BEGIN, END, NEXT, Words
from nrsed_lib.studies.opensep.captioner import Hearing, SmallCaptioner, clip_logits, heard, load_captioner
from nrsed_lib.studies.opensep.captioner_training import prepared, train_captioner, train_ears, train_mouth
from nrsed_lib.studies.opensep.transformers_captioner import CaptionerError, TransformersCaptioner
from nrsed_lib.studies.settings import CaptionerTrain
from nrsed_lib.training import device

RATE = 16_000
WORDS = Words({f"c{i}": f"{adjective} tone hums" for i, adjective in enumerate(("low", "deep", "high", "thin", "odd"))})


def tones() -> Sources:
    """Five classes of tones an octave or so apart, four sounds of each."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(RATE) / RATE
    pitches = torch.tensor([200.0, 500.0, 1200.0, 2800.0, 6000.0]).repeat_interleave(4)
    pitches = pitches * (0.95 + 0.1 * torch.rand(20, generator=generator))
    audio = (8000 * torch.sin(2 * torch.pi * pitches[:, None] * time)).to(torch.int16)
    labels = [f"c{i // 4}" for i in range(20)]
    names = [f"r{i}/0" for i in range(20)]
    return Sources(names, labels, ["noise"] * 20, audio, torch.full((20,), RATE), RATE)


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("NRSED_RESULTS", str(folder))
    result = Run(load_profile("smoke"), "11", 0)
    result.folder.mkdir(parents=True)
    return result


def test_words_follow_the_times() -> None:
    numbers = WORDS.caption([(0, -1.0), (1, -0.2), (2, -0.1), (3, 0.0)])
    assert WORDS.text(numbers) == "Low tone hums while deep tone hums and high tone hums and then thin tone hums."
    assert numbers[0] == BEGIN
    assert numbers[-1] == END
    assert numbers.count(NEXT) == 4
    assert WORDS.text(WORDS.caption([(4, -1.0), (0, 0.3), (1, -0.5)])).count("while") == 1  # the first at once
    assert WORDS.text([BEGIN, END]) == ""


def test_what_is_heard() -> None:
    frames = torch.full((1, 5, 10), -9.0)
    frames[0, 1, 4:] = 6.0  # the second class from 0.4 to the end
    frames[0, 3, :3] = 5.0  # the fourth one in the first three frames
    frames[0, 0, 8:9] = 3.0
    logit = clip_logits(frames)[0]
    torch.testing.assert_close(logit[2], torch.tensor(-9.0))  # of a constant, the constant
    what = heard(frames)
    assert what.classes[0, :3].tolist() == [3, 1, 0]
    assert what.said[0].tolist() == [True, True, True, False, False]
    assert what.onsets[0, :3].tolist() == pytest.approx([0.0, 0.4, 0.8])
    assert what.offsets[0, :3].tolist() == pytest.approx([0.3, 1.0, 0.9])
    assert what.gaps[0, :3].tolist() == pytest.approx([-1.0, 0.1, -0.2])


def test_something_is_always_said() -> None:
    what = heard(torch.full((2, 5, 4), -20.0) + torch.eye(5)[1][:, None])
    assert what.said.sum(1).tolist() == [1, 1]
    assert what.classes[:, 0].tolist() == [1, 1]


def test_gaps_count_from_the_last_to_end() -> None:
    columns = [torch.tensor([values]) for values in ([0.0, 0.1, 0.5], [0.9, 0.2, 0.6])]
    what = Hearing(torch.tensor([[0, 1, 2]]), torch.ones(1, 3, dtype=torch.bool), *columns)
    assert what.gaps[0].tolist() == pytest.approx([-1.0, -0.8, -0.4])


def test_it_learns_to_hear_and_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = run(tmp_path, monkeypatch)
    torch.manual_seed(0)
    captioner = SmallCaptioner(where.profile, WORDS).to(device()).train()
    mixer = Mixer(tones().to(device()), RATE)
    settings = CaptionerTrain(steps=100, warmup_steps=5, lr=3e-3, batch=12, seconds=1.0)
    train_ears(captioner, mixer, settings, where)
    monkeypatch.setattr(captioner_train, "SAYING_SHARE", 1.0)
    train_mouth(captioner, settings, where)
    captioner.eval()
    drawn = mixer.draw_apart(60, 2, (-3.0, 3.0), torch.Generator().manual_seed(1))
    captions = captioner.caption(drawn.sounds.sum(1))
    adjectives = [phrase.split()[0] for phrase in WORDS.phrases.values()]
    true = [{adjectives[i] for i in row} for row in drawn.classes.tolist()]
    said = [{a for a in adjectives if a in caption.lower().split()} for caption in captions]
    right = sum(len(a & b) for a, b in zip(true, said, strict=True)) / sum(map(len, true))
    assert right > 0.8  # of five classes by lot: 0.4
    assert sum(map(len, said)) < 1.3 * sum(map(len, true))
    assert all(caption.endswith(" hums.") and caption[0].isupper() for caption in captions)


def test_prepared_mixtures_are_kept_until_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = run(tmp_path, monkeypatch)
    captioner = SmallCaptioner(where.profile, WORDS).to(device())
    mixer = Mixer(tones().to(device()), RATE)
    settings = CaptionerTrain(steps=2, warmup_steps=1, batch=4, seconds=1.0, nb_mixtures=20)
    features, present = prepared(captioner.front, mixer, settings, where)
    assert len(features) == 32  # whole parts of 16
    assert present.sum(1).cpu().tolist() == [nb for _ in range(2) for nb in (1, 2, 3, 4) for _ in range(4)]

    def refuse(*_: object) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(captioner_train, "draw_features", refuse)
    again, _ = prepared(captioner.front, mixer, settings, where)
    assert torch.equal(again, features)
    assert len(train_ears(captioner, mixer, settings, where)) == 2


def test_smoke(smoke_data: Run) -> None:
    where = open_run("11", "smoke")
    history = train_captioner(where)
    assert len(history) == 3
    captioner = load_captioner(where.folder / "captioner.safetensors", where.profile)
    waves = torch.randn(3, RATE, generator=torch.Generator().manual_seed(0)) / 10
    captions = captioner.caption(waves)
    assert captions == captioner.caption(waves)
    assert len(captions) == 3
    assert captioner.caption(waves[:0]) == []
    before = (where.folder / "captioner.safetensors").stat().st_mtime_ns
    assert list(train_captioner(where).columns) == ["step", "hear", "say"]
    assert (where.folder / "captioner.safetensors").stat().st_mtime_ns == before
    other = load_profile("smoke", {"sed.mel.nb_mels": 40})
    with pytest.raises(ValueError, match=r"captioner\.safetensors was trained for other features"):
        load_captioner(where.folder / "captioner.safetensors", other)


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper of random weights with a vocabulary of letters."""
    from transformers import (
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    folder = tmp_path_factory.mktemp("whisper")
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"]
    letters = [*"abcdefghijklmnopqrstuvwxyz", "Ġ"]
    vocabulary = {token: i for i, token in enumerate([*letters, *special])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    end = vocabulary[special[0]]
    config = WhisperConfig(
        vocab_size=len(vocabulary) + 8,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_mel_bins=80,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=vocabulary[special[1]],
    )
    torch.manual_seed(0)
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def test_transformers_captioner(tiny_whisper: Path) -> None:
    captioner = TransformersCaptioner(tiny_whisper, 8000, max_new_tokens=5)
    captions = captioner.caption(torch.randn(2, 8000) / 10)
    assert len(captions) == 2
    assert all(isinstance(caption, str) for caption in captions)
    assert captioner.name == str(tiny_whisper)


def test_transformers_captioner_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CaptionerError, match=r"no audio captioning model in .*config\.json.*download=True"):
        TransformersCaptioner(tmp_path, RATE)
    with pytest.raises(CaptionerError, match="nobody/nothing"):
        TransformersCaptioner("nobody/nothing", RATE)
