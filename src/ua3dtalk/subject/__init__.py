"""The subject folder: one speaker, prepared; and the embedded synthetic subject."""
