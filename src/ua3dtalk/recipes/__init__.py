"""Full configurations as functions."""
