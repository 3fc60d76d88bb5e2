"""New speech to video."""
