"""What a device's calibration knows: two attenuations to three materials."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxa_causal._core.errors import ImageError
from dxa_causal._core.files import atomic_file
from dxa_causal.imaging.read import FloatArray
from dxa_causal.imaging.scatter import Scatter

DEGREE = 3  # of the inverse response: enough for 100/140 kVp, not more than 96 cells carry
POWERS = tuple((i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i) if i + j > 0)
_FORMAT = "dxa_causal forearm calibration 2"


@dataclass(frozen=True, eq=False, slots=True)
class Calibration:
    """Two attenuations to areal masses of hydroxyapatite, lean and fat tissue, for one device.

    Attributes
    ----------
    device_id : str
    response : (9, 2) ndarray
        Coefficients of A_low^i A_high^j (1 <= i + j <= 3) that give the
        equivalent areal masses of aluminium and PMMA, g/cm2.
    materials : (3, 2) ndarray
        Aluminium and PMMA equivalents of 1 g/cm2 of hydroxyapatite, lean and fat.
    max_attenuation : (2,) ndarray
        Largest attenuation seen in the wedge; beyond it the response is extrapolated.
    residual_ha : float
        Root mean square error of hydroxyapatite over the phantom's cells, g/cm2.
    residual_fat : float
        Root mean square error of fat over the phantom's cells without mineral, g/cm2.
    scatter : Scatter
        What is taken from a scan's light before its attenuation is formed.
    """

    device_id: str
    response: FloatArray
    materials: FloatArray
    max_attenuation: FloatArray
    residual_ha: float
    residual_fat: float
    scatter: Scatter

    def attenuation(self, counts: npt.NDArray[Any], air: float, energy: int, spacing_mm: npt.ArrayLike) -> FloatArray:
        """-ln of the primary beam's transmission, from counts (energy 0 low, 1 high)."""
        transmission = np.maximum(counts, 1.0) / air
        found: FloatArray = -np.log(self.scatter.primary(transmission, energy, spacing_mm))
        return found

    def basis(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """Aluminium and PMMA equivalents (..., 2), g/cm2, of attenuations -ln(I / I_air)."""
        return response_terms(low, high) @ self.response

    def soft(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lean and fat areal mass, g/cm2, where there is no bone."""
        solved = self.basis(low, high) @ np.linalg.inv(self.materials[1:])
        return solved[..., 0], solved[..., 1]

    def bone(self, low: FloatArray, high: FloatArray, fat: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Hydroxyapatite and lean areal mass, g/cm2, where the fat areal mass is known.

        The mineral's unit is the phantom's insert with its binder, so what the
        binder stands for (collagen) is not in the lean mass.
        """
        without_fat = self.basis(low, high) - fat[..., None] * self.materials[2]
        solved = without_fat @ np.linalg.inv(self.materials[:2])
        return solved[..., 0], solved[..., 1]

    def save(self, path: str | Path) -> None:
        """Write the calibration as JSON; the file is whole or absent."""
        with atomic_file(Path(path)) as temporary:
            temporary.write_text(self.to_json() + "\n", encoding="utf-8")

    def to_json(self) -> str:
        """Everything the calibration knows, as :meth:`save` writes it."""
        content = {
            "format": _FORMAT,
            "device_id": self.device_id,
            "response": self.response.tolist(),
            "materials": self.materials.tolist(),
            "max_attenuation": self.max_attenuation.tolist(),
            "residual_ha": self.residual_ha,
            "residual_fat": self.residual_fat,
            "scatter": {
                "share": self.scatter.share.tolist(),
                "width_mm": self.scatter.width_mm,
                "residual": self.scatter.residual if np.isfinite(self.scatter.residual) else None,
            },
        }
        return json.dumps(content, indent=1)

    @classmethod
    def load(cls, path: str | Path) -> Calibration:
        """Read what :meth:`save` wrote."""
        path = Path(path)
        if not path.is_file():
            raise ImageError(f"{path}: there is no such calibration file")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ImageError(f"{path} is not valid JSON: {error}") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ImageError(f"{path} is not a calibration file (its 'format' is not {_FORMAT!r})")
        try:
            return cls(
                device_id=str(content["device_id"]),
                response=fixed(content["response"], (len(POWERS), 2)),
                materials=fixed(content["materials"], (3, 2)),
                max_attenuation=fixed(content["max_attenuation"], (2,)),
                residual_ha=float(content["residual_ha"]),
                residual_fat=float(content["residual_fat"]),
                scatter=_scatter(content["scatter"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ImageError(f"{path} is damaged: {error}") from error

    def __repr__(self) -> str:
        return (
            f"Calibration(device {self.device_id}, phantom residual {self.residual_ha:.4f} g/cm2 HA, "
            f"{self.residual_fat:.3f} g/cm2 fat)"
        )


def _scatter(content: Any) -> Scatter:
    residual = content["residual"]
    return Scatter(
        fixed(content["share"], (2,)), float(content["width_mm"]), float("nan") if residual is None else float(residual)
    )


def response_terms(low: npt.ArrayLike, high: npt.ArrayLike) -> FloatArray:
    """Powers and products (..., 9) of two attenuations, in the order of `POWERS`."""
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    powers_low, powers_high = [low], [high]
    for _ in range(DEGREE - 1):
        powers_low.append(powers_low[-1] * low)
        powers_high.append(powers_high[-1] * high)
    columns = []
    for i, j in POWERS:
        first = powers_low[i - 1] if i else 1.0
        columns.append(first * powers_high[j - 1] if j else np.asarray(first))
    return np.stack(columns, axis=-1)


def fixed(values: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Read-only copy of finite numbers of the shape expected."""
    array = np.array(values, dtype=np.float64)
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers of shape {shape}, found shape {array.shape}")
    array.flags.writeable = False
    return array
