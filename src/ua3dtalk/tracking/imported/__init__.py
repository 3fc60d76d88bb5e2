"""Subjects from folders that other systems prepared: the layout of TalkingGaussian, ER-NeRF and RAD-NeRF."""
