"""CVH: the linear functions of two views that agree most, where pairs are all that is known to be alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

import numpy as np
import scipy.linalg

from crossbit.centring import CentredRows
from crossbit.correlation import Matrix, expansion
from crossbit.errors import DataError, SettingsError
from crossbit.hasher import Hasher
from crossbit.method import Method, Paper
from crossbit.pairs import PairedFeatures
from crossbit.progress import Progress

TextCovariance = Literal["inverted", "multiplied"]
_NEGLIGIBLE = 1e-10  # an eigenvalue below this share of the largest is rounding


@dataclass(frozen=True, kw_only=True)
class CVH(Method):
    """Cross-view hashing without labels: signs along the directions in which the two views correlate most.

    With X (n, d) and Y (n, e) centred, C_xy = X^T Y / n and so on, and a ridge on the diagonals of C_xx and C_yy:
    (1) maximise tr(W_x^T C_xy W_y) with W_x^T C_xx W_x = W_y^T C_yy W_y = I; (2) solved by the first eigenvectors of
    C_xy C_yy^-1 C_yx w = l C_xx w; (3) W_y = C_yy^-1 C_yx W_x l^(-1/2); (4) a code is the signs of x W_x, or y W_y.
    The numbers are this text's: the equations are restated from accounts of the paper, which was not open to us.

    The ridge of 1e-4 is that of a port by others; the paper's own is not known. That port multiplies by C_yy where
    (2) has its inverse, and does not centre: text_covariance="multiplied" and centre=False do the same. It is then no
    CCA. `cca-sign` is this method with a stronger ridge; bits along weak directions are noise in both.

    Departures: features are scaled to length 1 on average, so that the ridge means the same for all. Where the data
    has fewer directions than bits, the paper has no code of that length; here the bits are then signs on a tight
    frame of random directions in the canonical space, the same for both views.
    """

    name: ClassVar[str] = "cvh"
    paper: ClassVar[Paper] = Paper(
        authors="Shaishav Kumar, Raghavendra Udupa",
        title="Learning Hash Functions for Cross-View Similarity Search",
        venue="IJCAI",
        year=2011,
        link="https://doi.org/10.5591/978-1-57735-516-8/IJCAI11-230",
    )

    ridge: float = 1e-4  # added to the diagonal of each covariance, of rows that have length 1 on average
    text_covariance: TextCovariance = "inverted"  # "multiplied": as a released port has it, which is not CCA
    centre: bool = True  # False: as the same port, features are not centred

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ridge > 0:
            raise SettingsError(f"ridge must be more than 0 (such as 1e-4); got {self.ridge!r}.")
        if self.text_covariance not in get_args(TextCovariance):
            raise SettingsError(f"text_covariance is inverted or multiplied; got {self.text_covariance!r}.")

    def _fit(self, pairs: PairedFeatures, progress: Progress, checkpoint: Path | None) -> Hasher:
        image = CentredRows.of(pairs.image, centre=self.centre)
        text = CentredRows.of(pairs.text, centre=self.centre)
        image_weight, text_weight = agreeing_directions(
            image.rows, text.rows, self.n_bits, ridge=self.ridge, text_covariance=self.text_covariance
        )
        found = image_weight.shape[1]
        if found < self.n_bits:
            frame = expansion(found, self.n_bits, np.random.default_rng(self.seed))
            image_weight, text_weight = image_weight @ frame, text_weight @ frame
        return Hasher(image.function(image_weight), text.function(text_weight), report={"directions": found})


def agreeing_directions(
    image: Matrix, text: Matrix, at_most: int, *, ridge: float, text_covariance: TextCovariance = "inverted"
) -> tuple[Matrix, Matrix]:
    """W_x (d, k) and W_y (e, k) of equations 2 and 3 for rows (n, d) and (n, e), strongest direction first.

    k is at_most, or less where fewer directions agree at all; DataError where none does.
    """
    n = len(image)
    image_covariance = image.T @ image / n + ridge * np.eye(image.shape[1])
    text_covariances = text.T @ text / n + ridge * np.eye(text.shape[1])
    crossed = image.T @ text / n
    solved = scipy.linalg.solve(text_covariances, crossed.T, assume_a="pos", check_finite=False)
    between = solved if text_covariance == "inverted" else text_covariances @ crossed.T
    agreement = crossed @ between
    values, vectors = scipy.linalg.eigh((agreement + agreement.T) / 2, image_covariance, check_finite=False)
    if not values[-1] > 1e-12:
        raise DataError("Images and texts have nothing in common: no direction of the two is correlated.")
    most = min(at_most, *crossed.shape, int(np.count_nonzero(values > _NEGLIGIBLE * values[-1])))
    values, vectors = values[::-1][:most], vectors[:, ::-1][:, :most]
    return vectors, solved @ vectors / np.sqrt(values)
