"""UA-3DTalk: a portrait video in, a 3D Gaussian avatar that speaks, with emotion and a measured confidence, out."""

__version__ = "0.1.0"
