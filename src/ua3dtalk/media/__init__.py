"""Video, audio and image files, in and out."""
