"""Tests of what feeds the ensembles: encoders, gates, codebook, folded first layers, folded heads."""

from __future__ import annotations

import pytest
import torch

from ua3dtalk.avatar.audio_encoder import AudioEncoder, UpperEncoder
from ua3dtalk.avatar.emotion_codebook import EmotionCodebook
from ua3dtalk.avatar.ensemble import Ensemble
from ua3dtalk.avatar.gates import PointGates, gate_penalty
from ua3dtalk.avatar.heads import HeadConfig, MotionHeads


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_ensemble_equals_plain_networks_on_the_concatenated_input() -> None:
    field, frame, gates, values = (torch.randn(*s, generator=seeded()) for s in ((7, 20), (5,), (4, 20), (4,)))
    ensemble = Ensemble(members=3, hidden=16, latent=6, widths=(7, 5, 4), generator=seeded(1))
    every = slice(None)
    fast = ensemble(ensemble.static(field, every), every, frame=frame, modulated=(gates, values))
    stacked = torch.cat([field, frame[:, None].expand(-1, 20), gates * values[:, None]])  # [16, N]
    for t in range(3):
        weight = torch.cat([ensemble.field[t], ensemble.frame[t], ensemble.modulated[t]], dim=1)
        expected = ensemble.output[t] @ torch.relu(weight @ stacked + ensemble.bias[t]) + ensemble.output_bias[t]
        torch.testing.assert_close(fast[t], expected, rtol=1e-5, atol=1e-5)  # measured 5e-7
        one = slice(t, t + 1)
        alone = ensemble(ensemble.static(field, one), one, frame=frame, modulated=(gates, values))
        torch.testing.assert_close(alone[0], expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="input parts"):
        ensemble(ensemble.static(field, every), every, frame=frame)


def test_ensemble_leaves_the_cached_half_alone() -> None:
    ensemble = Ensemble(members=2, hidden=8, latent=3, widths=(4, 5, 0), generator=seeded())
    static = ensemble.static(torch.randn(4, 9, generator=seeded(1)), slice(None)).detach()
    before = static.clone()
    with torch.no_grad():
        ensemble(static, slice(None), frame=torch.randn(5, generator=seeded(2)))
    assert torch.equal(static, before)


def test_heads_equal_the_unfolded_layers() -> None:
    heads = MotionHeads(HeadConfig(hidden=12), latent=5, field=7, generator=seeded())
    torch.nn.init.normal_(heads.output, generator=seeded(1))
    torch.nn.init.normal_(heads.output_bias, generator=seeded(2))
    fused, field = torch.randn(5, 30, generator=seeded(3)), torch.randn(7, 30, generator=seeded(4))
    d = heads.shared(torch.cat([fused, field]).t()).t()
    for k, (raw, rows) in enumerate(zip(heads(fused, heads.static(field)), (3, 4, 3), strict=True)):
        first = slice(k * 12, (k + 1) * 12)
        expected = heads.output[k] @ torch.relu(heads.first[first] @ d + heads.first_bias[first]) + heads.output_bias[k]
        torch.testing.assert_close(raw, expected[:rows], rtol=1e-4, atol=1e-5)  # measured 1e-6


def test_codebook_is_attention_over_each_book() -> None:
    codebook = EmotionCodebook((1, 2), 16, seeded())
    emotion = torch.randn(128, generator=seeded(1))
    looked_up = codebook(emotion)
    assert [len(book) for book in codebook.books] == [64, 128] and looked_up.shape == (32,)
    query = codebook.query(emotion)
    for level, book in enumerate(codebook.books):
        expected = (torch.softmax(query @ book.t() / 16**0.5, dim=0)[:, None] * book).sum(0)
        torch.testing.assert_close(looked_up[16 * level : 16 * level + 16], expected, rtol=1e-5, atol=1e-6)
    other = codebook(torch.randn(128, generator=seeded(2)))
    assert (looked_up - other).abs().max() > 1e-3, "another emotion must look up something else"


def test_audio_attention_uses_all_frames_and_sums_to_one() -> None:
    encoder = AudioEncoder(seeded())
    same = torch.rand(1, 42, 16, generator=seeded(1)).expand(8, -1, -1)
    constant = encoder(same)
    x = same[:1]
    for layer in encoder.window:
        x = torch.nn.functional.leaky_relu(layer(x), 0.02)
    x = encoder.output(torch.nn.functional.leaky_relu(encoder.hidden(x.squeeze(-1)), 0.02))
    torch.testing.assert_close(constant, x[0], rtol=1e-4, atol=1e-6)
    windows = torch.rand(8, 42, 16, generator=seeded(2)).requires_grad_()
    encoder(windows).sum().backward()
    assert bool((windows.grad.abs().sum((1, 2)) > 0).all())
    assert UpperEncoder(seeded())(torch.zeros(6)).shape == (6,)


def test_gates_are_between_zero_and_one_and_penalised_where_nothing_moves() -> None:
    gates = PointGates(5, 8, 38, seeded())(torch.randn(5, 10, generator=seeded(1)))
    assert gates.shape == (38, 10) and bool(((gates > 0) & (gates < 1)).all())
    basis = torch.zeros(2, 19, 3)
    basis[0, 3, 1] = 0.01  # the first Gaussian moves with speech, the second with nothing
    mean = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert float(gate_penalty(mean, basis)) < 0.01
    assert float(gate_penalty(mean.flip(0), basis)) == pytest.approx(0.5)
    assert float(gate_penalty(mean, None)) == pytest.approx(0.5)
    assert gate_penalty(mean[:, :0], basis) is None


def test_weights_come_from_the_generator_alone() -> None:
    torch.manual_seed(123)
    state = torch.get_rng_state()
    a, b = AudioEncoder(seeded(5)), AudioEncoder(seeded(5))
    assert torch.equal(torch.get_rng_state(), state)
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(x, y)
