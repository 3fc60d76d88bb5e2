"""Speech models: time, layers, chunks, identity, what is refused; and priors that hear with them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_speaker import made_opening, made_speech, made_subject, made_track
from safetensors.torch import load_file, save_file
from tiny_model import LAYERS, WIDTH, save_tiny

from ua3dtalk.core.errors import UserError
from ua3dtalk.priors import transformers_encoder
from ua3dtalk.priors.content import ContentPrior
from ua3dtalk.priors.content_training import ContentClip, ContentConfig, train_content
from ua3dtalk.priors.context import apply_to_context, context_size, fit_projection, phone_context
from ua3dtalk.priors.emotion_teacher import EmotionTeacher
from ua3dtalk.priors.emotion_training import EmotionConfig, Utterance, train_emotion
from ua3dtalk.priors.lip_targets import lip_shapes
from ua3dtalk.priors.phone_posteriors import phone_names
from ua3dtalk.priors.pipeline import Priors, PriorsConfig, fit_priors
from ua3dtalk.priors.speech_choice import SpeechChoice, open_encoder
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.priors.speech_stage import run_speech_stage
from ua3dtalk.priors.style import StyleConfig
from ua3dtalk.priors.transformers_encoder import TransformersEncoder
from ua3dtalk.subject.actor.config import ActorConfig
from ua3dtalk.subject.actor.generate import synthesize_voice
from ua3dtalk.subject.speech_data import SpeechFeatures, extends


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="session")
def voice() -> np.ndarray:
    return synthesize_voice("happy", 1.0, 8.0).audio.astype(np.float32)


@pytest.fixture(scope="session")
def heard(model: Path, voice: np.ndarray) -> SpeechFeatures:
    return TransformersEncoder(str(model)).encode(voice)


def states_of(folder: Path, sound: np.ndarray, layer: int) -> np.ndarray:
    """Hidden states as the library itself gives them."""
    import transformers

    net: Any = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return net(torch.from_numpy(sound)[None], output_hidden_states=True).hidden_states[layer][0].numpy()


# --- the encoder -----------------------------------------------------------------------------------------------------


def test_the_default_features_stay_as_they_are(heard: SpeechFeatures, voice: np.ndarray) -> None:
    plain = PhoneEncoder().encode(voice)
    for name, track in plain.tracks.items():
        np.testing.assert_array_equal(heard.tracks[name], track)
    assert heard.hidden is not None and heard.hidden.shape == (len(plain.mel), WIDTH)
    assert plain.hidden is None and heard.holds(plain.encoder) and not plain.holds(heard.encoder)


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert"])
def test_the_middle_layer_is_what_the_library_gives(kind: str, voice: np.ndarray, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path, kind)
    encoder = TransformersEncoder(str(folder))
    assert f"+{kind}-layer{LAYERS // 2}:" in encoder.name
    levelled = (voice - voice.mean()) / voice.std()
    around = np.pad(levelled, (200, 320))  # half of what a frame sees
    want = states_of(folder, around.astype(np.float32), LAYERS // 2)
    got = encoder.encode(voice).tracks["hidden"][::2]
    count = min(len(want), len(got)) - 4
    np.testing.assert_allclose(got[:count], want[:count], atol=0.02)  # measured .004: another end, half precision


def test_layers_are_chosen(model: Path, voice: np.ndarray, heard: SpeechFeatures) -> None:
    last = open_encoder(f"{model}:{LAYERS}").encode(voice)
    assert f"-layer{LAYERS}:" in last.encoder and last.encoder != heard.encoder
    assert np.abs(last.tracks["hidden"] - heard.tracks["hidden"]).max() > 0.1
    with pytest.raises(UserError, match=f"layers 0 to {LAYERS}, not 9"):
        open_encoder(f"{model}:9")


def test_a_click_lands_on_its_time(model: Path) -> None:
    """Before attention: the states that go into the first layer see 25 ms and a little more."""
    quiet = np.random.default_rng(0).normal(0, 0.01, 64000).astype(np.float32)
    click = quiet.copy()
    click[32000] += 1
    states = [open_encoder(f"{model}:0").encode(sound).tracks["hidden"].astype(np.float32) for sound in (quiet, click)]
    change = np.abs(states[1] - states[0]).sum(axis=1)
    assert (
        abs(int(change.argmax()) - 200) <= 8
    )  # the convolution over positions spreads it over 16 of the model's frames


def test_chunks_agree_with_one_piece(
    model: Path, voice: np.ndarray, heard: SpeechFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transformers_encoder, "CHUNK_S", 3.0)
    pieces = TransformersEncoder(str(model)).encode(voice).tracks["hidden"].astype(np.float32)
    whole = heard.tracks["hidden"].astype(np.float32)
    error = np.abs(pieces - whole).mean() / np.abs(whole - whole.mean(axis=0)).mean()
    assert 0 < error < 0.1, error


@pytest.mark.parametrize("samples", [1, 50, 16000, 320001])
def test_any_length_is_heard(model: Path, samples: int) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)
    features = TransformersEncoder(str(model)).encode(sound)
    assert features.tracks["hidden"].shape == (samples // 160 + 1, WIDTH)


def test_hidden_states_follow_the_other_tracks(heard: SpeechFeatures, tmp_path: Path) -> None:
    both = SpeechFeatures.joined([heard, heard])
    np.testing.assert_array_equal(both.recordings(400)[1][0].tracks["hidden"], heard.tracks["hidden"])
    np.testing.assert_array_equal(heard.shifted(0.1).tracks["hidden"][50], heard.tracks["hidden"][60])
    both.save(tmp_path / "speech.npz")
    again = SpeechFeatures.load(tmp_path / "speech.npz")
    np.testing.assert_array_equal(again.tracks["hidden"], both.tracks["hidden"])
    assert (again.encoder, again.model, again.joints) == (both.encoder, both.model, both.joints)
    assert again.model == heard.model and Path(str(heard.model)).is_dir()
    with pytest.raises(ValueError, match="H > 0"):
        replace(heard, hidden=heard.tracks["hidden"][:, :0])


# --- identity --------------------------------------------------------------------------------------------------------


def test_the_same_files_elsewhere_are_the_same_encoder(model: Path, heard: SpeechFeatures, tmp_path: Path) -> None:
    moved = shutil.copytree(model, tmp_path / "moved")
    assert open_encoder(str(moved), heard.encoder).name == heard.encoder
    assert open_encoder(f"{moved}:0").name != heard.encoder
    assert open_encoder(str(moved), open_encoder(f"{moved}:0").name).name == open_encoder(f"{moved}:0").name


def test_other_weights_are_another_encoder(heard: SpeechFeatures, tmp_path: Path) -> None:
    other = save_tiny(tmp_path, seed=1)
    with pytest.raises(UserError, match="was trained with the speech encoder") as caught:
        open_encoder(str(other), heard.encoder)
    assert heard.encoder in caught.value.what and "--speech-encoder" in caught.value.cure


def test_other_settings_are_another_encoder(model: Path, heard: SpeechFeatures, tmp_path: Path) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    (other / "preprocessor_config.json").write_text('{"do_normalize": true, "sampling_rate": 16000}')
    assert TransformersEncoder(str(other)).name == heard.encoder  # what is meant without the file
    (other / "preprocessor_config.json").write_text('{"do_normalize": false, "sampling_rate": 16000}')
    assert TransformersEncoder(str(other)).name != heard.encoder
    (other / "config.json").write_text((other / "config.json").read_text().replace('"gelu"', '"relu"'))
    (other / "preprocessor_config.json").unlink()
    assert TransformersEncoder(str(other)).name != heard.encoder
    (other / "config.json").unlink()
    with pytest.raises(UserError, match="holds no config.json"):
        open_encoder(str(other))


def test_the_default_encoder_is_enforced_too(model: Path, heard: SpeechFeatures) -> None:
    default = PhoneEncoder().name
    assert open_encoder(None, default).name == default
    with pytest.raises(UserError, match="Leave out --speech-encoder"):
        open_encoder(str(model), default)
    with pytest.raises(UserError, match="very model"):
        open_encoder(None, heard.encoder)
    with pytest.raises(UserError, match="pocketsphinx"):
        open_encoder(None, "pocketsphinx-of-old:1")
    assert extends("a+b", "a") and extends("a", "a") and not extends("ab", "a") and not extends("a", "a+b")


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("./gone", "is no folder"),
        ("nobody/has-this-model", "hf download nobody/has-this-model"),
        ("not a name", "no model of this name has been downloaded"),
    ],
)
def test_nothing_is_downloaded(name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed (extra speech)")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=sentence):
        open_encoder(name)


def test_pickles_are_refused_and_can_be_converted(model: Path, root: Path, tmp_path: Path, voice: np.ndarray) -> None:
    pickled = shutil.copytree(model, tmp_path / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"pickles only \(pytorch_model.bin\)") as caught:
        open_encoder(str(pickled))
    assert f"convert_weights.py speech {pickled}" in caught.value.cure
    spec = importlib.util.spec_from_file_location("convert_weights", root / "scripts" / "convert_weights.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(["speech", str(pickled)])
    want = TransformersEncoder(str(model)).encode(voice[:16000]).tracks["hidden"]
    np.testing.assert_array_equal(open_encoder(str(pickled)).encode(voice[:16000]).tracks["hidden"], want)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model_type": "bert"}, "does not hear plain sound"),
        ({"model_type": "of-its-own", "auto_map": {"AutoConfig": "its.Config"}}, "no model that transformers can open"),
        ([], "no model that transformers can open"),
    ],
)
def test_other_models_are_refused(model: Path, config: object, sentence: str, tmp_path: Path) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "its.py").write_text("raise SystemExit('code of the model was run')")
    with pytest.raises(UserError, match=sentence):
        open_encoder(str(copy))


def test_models_that_are_not_whole_are_refused(model: Path, tmp_path: Path, voice: np.ndarray) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    lost = next(name for name in weights if "layers.1" in name)
    save_file({n: t for n, t in weights.items() if n != lost}, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="lacks 1 weights"):
        open_encoder(str(copy)).encode(voice[:1600])
    (copy / "model.safetensors").write_bytes(b"0" * 100)
    with pytest.raises(UserError, match="cannot be read"):
        open_encoder(str(copy)).encode(voice[:1600])
    (copy / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no weights"):
        open_encoder(str(copy))


def test_adapters_and_other_rates_are_refused(model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(model, tmp_path / "copy")
    (copy / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    with pytest.raises(UserError, match="8000 Hz"):
        open_encoder(str(copy))
    (copy / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="adapter"):
        open_encoder(str(copy))


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'ua3dtalk\[speech\]'"):
        open_encoder("facebook/hubert-base-ls960")


# --- priors ----------------------------------------------------------------------------------------------------------


def with_states(speech: SpeechFeatures, seed: int = 0, noise: float = 0.05, width: int = 32) -> SpeechFeatures:
    """Hidden states that are a random linear view of the phones of a made speaker."""
    rng = np.random.default_rng(seed)
    states = speech.phones @ np.random.default_rng(99).normal(size=(42, width)) + 3
    hidden = (states + rng.normal(0, noise, states.shape)).astype(np.float16)
    return replace(speech, hidden=hidden, encoder=f"{speech.encoder}+made-layer1:0", model="made")


def test_projection_is_even_and_centred() -> None:
    recordings = [with_states(made_speech(20, seed=k), k, 0.5, 96) for k in range(3)]
    projection = fit_projection(recordings)
    assert projection is not None and projection.shape == (97, 64)
    values = np.concatenate([one.tracks["hidden"] for one in recordings]) @ projection[:-1] + projection[-1]
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-2)
    assert np.square(values).sum(axis=1).mean() == pytest.approx(1, abs=0.2)  # as phones have
    np.testing.assert_allclose(np.corrcoef(values.T), np.eye(64), atol=0.02)
    assert fit_projection([made_speech(2)]) is None


def test_blocks_of_context_agree_with_one_piece() -> None:
    speech = SpeechFeatures.joined([with_states(made_speech(30)), with_states(made_speech(25, 1))])
    projection = fit_projection([speech])
    times_s = np.arange(1370) / 25
    weights = np.random.default_rng(0).normal(size=(context_size(projection), 3)).astype(np.float32)
    want = phone_context(speech, times_s, projection) @ weights
    np.testing.assert_allclose(apply_to_context(speech, times_s, weights, projection), want, atol=1e-3)


class Canned:
    """An encoder that knows its recordings by heart."""

    def __init__(self, known: dict[int, SpeechFeatures]) -> None:
        self.known = known
        self.name = next(iter(known.values())).encoder

    def encode(self, audio: np.ndarray, progress: object = None) -> SpeechFeatures:
        return self.known[len(audio)]


def test_content_learns_from_hidden_states() -> None:
    """Phones that take all but P, B and M for T, in sound of one loudness; only the hidden states know more."""
    clips, deaf, knowing = [], {}, {}
    others = [i for i, name in enumerate(phone_names()) if name not in ("P", "B", "M", "T")]
    for i in range(3):
        speech = made_speech(20 + i, seed=10 + i)
        shapes = lip_shapes(made_track(made_opening(speech, 25 * 20), seed=i).head_points.astype(np.float64))
        phones = speech.phones.copy()
        phones[:, phone_names().index("T")] += phones[:, others].sum(axis=1)
        phones[:, others] = 0
        deaf[16000 * (20 + i)] = replace(speech, phones=phones, mel=np.zeros_like(speech.mel))
        knowing[16000 * (20 + i)] = replace(with_states(speech, i), phones=phones, mel=np.zeros_like(speech.mel))
        audio = np.zeros(16000 * (20 + i), np.float32)
        clips.append(ContentClip(name=str(i), speaker=str(i), audio=audio, shapes=shapes))
    priors = [train_content(clips, config=ContentConfig(rounds=1), encoder=Canned(k)) for k in (deaf, knowing)]
    without, prior = priors
    assert without.facts["unseen_speaker_opening_r"] < 0.8 < 0.9 < prior.facts["unseen_speaker_opening_r"]
    again = ContentPrior.from_tensors(prior.tensors(), prior.encoder, prior.facts)
    times_s, speech = np.arange(50) / 25, knowing[16000 * 20]
    np.testing.assert_array_equal(again.predict(speech, times_s), prior.predict(speech, times_s))


@pytest.fixture(scope="session")
def content_prior(model: Path, voice: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on three voices with the tiny model."""
    clips = []
    for i, feeling in enumerate(("neutral", "happy", "sad")):
        sound = synthesize_voice(feeling, 0.0 if i == 0 else 1.0, 5.0).audio.astype(np.float32)
        opening = made_opening(PhoneEncoder().encode(sound), len(sound) // 640)
        shapes = lip_shapes(made_track(opening, seed=i).head_points.astype(np.float64))
        clips.append(ContentClip(name=feeling, speaker=feeling, audio=sound, shapes=shapes))
    path = tmp_path_factory.mktemp("prior") / "content.safetensors"
    train_content(clips, path, ContentConfig(rounds=1), TransformersEncoder(str(model)))
    return path


@pytest.fixture(scope="session")
def emotion_prior(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that listens to the tiny model."""
    path = tmp_path_factory.mktemp("teacher") / "emotion.safetensors"
    said = [
        Utterance(
            speaker=str(s),
            label=label,
            audio=synthesize_voice(label, 1.0, 1.5, config=ActorConfig(seed=s)).audio.astype(np.float32),
        )
        for s in range(2)
        for label in ("neutral", "angry")
    ]
    train_emotion(said, path, EmotionConfig(epochs=2, versions=1, folds=0), TransformersEncoder(str(model)))
    return path


def test_the_teacher_attends_to_hidden_states(emotion_prior: Path, heard: SpeechFeatures) -> None:
    teacher, voiced = EmotionTeacher.load(emotion_prior), np.ones(200, np.float32)
    assert teacher.net.hidden == WIDTH and teacher.encoder == heard.encoder
    here = teacher.hear(heard, voiced).embedding
    other = replace(heard, hidden=np.roll(heard.tracks["hidden"], 7, axis=1))
    changed = np.abs(teacher.hear(other, voiced).embedding - here).max(axis=0)
    assert changed[96:].max() > 1e-3 and not changed[:96].any()  # the fourth level alone
    with pytest.raises(UserError, match="emotion teacher"):
        teacher.hear(replace(heard, hidden=None, encoder=PhoneEncoder().name), voiced)
    assert EmotionTeacher.load().hear(heard, voiced).confidence.max() > 0  # the shipped one hears the default part


@pytest.fixture
def spoken(tmp_path: Path, voice: np.ndarray):
    """A subject with track and sound."""
    track = made_track(made_opening(PhoneEncoder().encode(voice), len(voice) // 640))
    return made_subject(tmp_path / "subject", track, voice)


def test_the_choice_goes_with_subject_and_priors(
    spoken, model: Path, content_prior: Path, emotion_prior: Path, voice: np.ndarray, heard: SpeechFeatures
) -> None:
    choice = SpeechChoice(model=str(model), content=content_prior, emotion=emotion_prior)
    run_speech_stage(spoken, choice=choice)
    assert spoken.speech().encoder == heard.encoder == spoken.facts("speech")["encoder"]
    fit_priors(spoken, PriorsConfig(folds=2, style=StyleConfig(steps=4, batch=2)))
    priors = Priors.load(spoken.folder / "priors.safetensors")
    assert (priors.encoder, priors.model) == (heard.encoder, str(model.resolve()))
    assert priors.teacher.encoder == heard.encoder
    features = priors.features(open_encoder(priors.model, priors.encoder).encode(voice), 100)
    assert np.isfinite(features.lower).all() and features.content.std() > 0.1
    with pytest.raises(UserError, match="the priors from"):
        priors.features(PhoneEncoder().encode(voice), 100)


def test_another_choice_is_another_subject(spoken, model: Path, content_prior: Path, tmp_path: Path) -> None:
    config = PriorsConfig(folds=2, style=StyleConfig(steps=2, batch=2))
    other = replace(ContentPrior.load(content_prior), facts={"speakers": 77})
    other.save(tmp_path / "other.safetensors")
    for path in (content_prior, tmp_path / "other.safetensors"):
        run_speech_stage(spoken, choice=SpeechChoice(model=str(model), content=path))
        fit_priors(spoken, config)
    assert Priors.load(spoken.folder / "priors.safetensors").content.facts == {"speakers": 77}
    run_speech_stage(spoken)  # the default again: nothing of the old choice is left
    fit_priors(spoken, config)
    assert spoken.speech().hidden is None and not (spoken.folder / "content.safetensors").exists()
    assert Priors.load(spoken.folder / "priors.safetensors").model is None


def test_priors_of_another_encoder_are_refused(
    model: Path, content_prior: Path, emotion_prior: Path, tmp_path: Path
) -> None:
    other = save_tiny(tmp_path, "hubert")
    with pytest.raises(UserError, match="The content prior of the package was trained with"):
        SpeechChoice(model=str(model)).open()
    with pytest.raises(UserError, match="belong together"):
        SpeechChoice(content=content_prior).open()
    with pytest.raises(UserError, match="belong together"):
        SpeechChoice(model=str(other), content=content_prior).open()
    with pytest.raises(UserError, match="The emotion prior .* Leave it out"):
        SpeechChoice(emotion=emotion_prior).open()
    assert (
        SpeechChoice(model=str(model), content=content_prior)
        .open()
        .name.endswith(ContentPrior.load(content_prior).encoder.partition("+")[2])
    )
