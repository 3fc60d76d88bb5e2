"""Errors, configuration, checkpoints, progress and device choice: what every stage shares."""
