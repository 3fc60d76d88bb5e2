"""The set of 3D Gaussians: parameters, initialisation, densification."""
