"""From sound to content, style and emotion (modules P and E)."""
