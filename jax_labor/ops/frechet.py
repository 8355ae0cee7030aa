"""Distance of two clouds of features, each taken for a normal distribution."""

import numpy as np


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|m - n|^2 + tr(S + T - 2 (S T)^(1/2)) of means m, n and covariances S, T.

    Heusel et al., NeurIPS 2017, section 1 ("FID" of Inception features). In float64 on the host. No
    covariance is built and no root of a matrix taken: with S = A^T A and T = B^T B, the trace of
    the root is the sum of the singular values of A B^T, so the result is exact for fewer samples
    than features too. It grows as samples get fewer; compare figures of equal numbers only.

    Args:
        a, b: [N, d] and [M, d], N and M at least 2.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    means = a.mean(0), b.mean(0)
    a, b = (_root(x - mean) for x, mean in zip((a, b), means, strict=True))
    common = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    apart = np.square(means[0] - means[1]).sum()
    return float(apart + np.square(a).sum() + np.square(b).sum() - 2 * common)


def _root(centred: np.ndarray) -> np.ndarray:
    """R of at most d rows, with R^T R the covariance of centred[N, d]."""
    count, width = centred.shape
    rows = np.linalg.qr(centred, mode="r") if count > width else centred
    return rows / np.sqrt(count - 1)
