"""Speech models of random weights, small enough to be made and run in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

WIDTH, LAYERS = 32, 3


def save_tiny(folder: Path, kind: str = "wav2vec2", seed: int = 0) -> Path:
    """A folder with a model of ``transformers``; the test that asks is skipped where that is not installed."""
    transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed (extra speech)")
    config = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert"}[kind]
    made = getattr(transformers, f"{config}Config")(
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=48,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        initializer_range=0.2,  # so that layers do something
        feat_extract_norm="layer" if kind == "hubert" else "group",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        getattr(transformers, f"{config}Model")(made).save_pretrained(folder)
    return folder
