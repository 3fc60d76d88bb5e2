"""Planes, codebooks, ensembles, fusion and heads: the motion of the Gaussians (modules E and U)."""
