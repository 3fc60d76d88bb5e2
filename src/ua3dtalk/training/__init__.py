"""Losses, schedules, the loop, and the stages that run on it."""
