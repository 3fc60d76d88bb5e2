"""Linear discriminant on functionals, with a shrunk covariance, and how it is weighed against the network."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor

SHRINKAGE = 0.2
"""Share of the identity in the covariance."""
OWN_WEIGHT = 4.0
"""Weight of an utterance as it is, against one of each perturbed version."""


def fit_discriminant(
    x: Float[Tensor, "n f"], label: Int[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
) -> tuple[Float[Tensor, "f c"], Float[Tensor, " c"]]:
    """Coefficients and constants of the log posteriors, all classes equally likely beforehand.

    Args:
        x: Standardised functionals.
        label: Class of each row, every class at least once.
        weight: Weight of each row within its class.
    """
    x, one_hot = x.double(), torch.nn.functional.one_hot(torch.from_numpy(label)).double()
    share = one_hot * torch.from_numpy(weight).double()[:, None]
    share = share / share.sum(dim=0)  # [n, c], columns sum to 1
    means = share.T @ x
    within = x - one_hot @ means
    covariance = (within * share.sum(dim=1, keepdim=True)).T @ within / share.shape[1]
    size = torch.diagonal(covariance).mean()
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * size * torch.eye(len(covariance), dtype=torch.float64)
    weights = torch.linalg.solve(covariance, means.T)
    return weights.float(), (-0.5 * (means.T * weights).sum(dim=0)).float()


def fit_shares(
    network: Float[np.ndarray, "u c"], votes: Float[np.ndarray, "u c"], truth: Int[np.ndarray, " u"]
) -> tuple[float, float]:
    """Factors of network's and discriminant's logits that make held-out truth most likely; classes weigh equally.

    This is temperature scaling of the two together; both factors are positive.
    """
    weight = 1.0 / np.bincount(truth)[truth] / len(np.unique(truth))
    rows = np.arange(len(truth))

    def surprise(logs: np.ndarray) -> float:
        logits = np.exp(logs[0]) * network + np.exp(logs[1]) * votes
        logits = logits - logits.max(axis=1, keepdims=True)
        return float((weight * (np.log(np.exp(logits).sum(axis=1)) - logits[rows, truth])).sum())

    found = minimize(surprise, np.array([-0.5, -1.5]), method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-6})
    return float(np.exp(np.clip(found.x[0], -5, 3))), float(np.exp(np.clip(found.x[1], -5, 3)))
