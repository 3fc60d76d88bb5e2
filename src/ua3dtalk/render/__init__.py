"""Rasterizers behind one protocol, and compositing."""
