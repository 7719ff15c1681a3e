"""Which compressed pixels can be read here, and by whose code: none of it under the GPL.

pydicom reads what is not compressed and RLE; Pillow (JPEG), pylibjpeg-openjpeg (JPEG 2000), pylibjpeg-rle and pyjpegls
do the rest, and `jpeg_lossless` what is left.
"""

from __future__ import annotations

from functools import lru_cache

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, JPEGLossless, JPEGLosslessSV1

from paceline.cache import Refused


@lru_cache(maxsize=64)
def why_not(syntax: str) -> str | None:
    """Return why pixels of a transfer syntax cannot be decoded here; None where they can.

    >>> why_not("1.2.840.10008.1.2.4.70") is None
    True
    >>> why_not("1.2.840.10008.1.2.4.102")
    'the transfer syntax is not supported'
    """
    uid = UID(syntax)
    try:
        if get_decoder(uid).is_available:
            return None
    except NotImplementedError:  # what holds no single images, such as video
        return "the transfer syntax is not supported"
    return f"no decoder for {uid.name.partition(' (')[0]} is installed"


def require(syntax: str) -> None:
    """Raise `Refused` where pixels of `syntax` cannot be decoded here."""
    if (reason := why_not(syntax)) is not None:
        raise Refused(reason)


for _syntax in (JPEGLossless, JPEGLosslessSV1):
    if (_decoder := get_decoder(_syntax)) and "medical_imaging" not in _decoder.available_plugins:
        _decoder.add_plugin("medical_imaging", ("medical_imaging.jpeg_lossless", "decode_frame"))
