"""Which compressed pixels can be read here, and by whose code: plug-ins with permissive licences only.

pydicom reads what is not compressed and RLE; Pillow (JPEG), pylibjpeg-openjpeg (JPEG 2000), pylibjpeg-rle and pyjpegls
do the rest. JPEG Lossless wants `pylibjpeg-libjpeg`, which is under the GPL: no dependency here, used where installed.
"""

from __future__ import annotations

from functools import lru_cache

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from paceline.cache import Refused


@lru_cache(maxsize=64)
def why_not(syntax: str) -> str | None:
    """Return why pixels of a transfer syntax cannot be decoded here; None where they can.

    >>> why_not("1.2.840.10008.1.2.4.70")
    'no decoder with a permissive licence for JPEG Lossless, Non-Hierarchical, First-Order Prediction'
    >>> why_not("1.2.840.10008.1.2.1") is None
    True
    """
    uid = UID(syntax)
    try:
        if get_decoder(uid).is_available:
            return None
    except NotImplementedError:  # what holds no single images, such as video
        return "the transfer syntax is not supported"
    return f"no decoder with a permissive licence for {uid.name.partition(' (')[0]}"


def require(syntax: str) -> None:
    """Raise `Refused` where pixels of `syntax` cannot be decoded here."""
    if (reason := why_not(syntax)) is not None:
        raise Refused(reason)
