"""Rotations, cameras and spherical harmonics."""
