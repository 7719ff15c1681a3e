"""Time the driving template's renderer on one core: frames a second, everything included up to the JPEG.

CPU time of this process, so that other work on the machine counts less; the median over frames of many worlds, and the
rate of whole sequences, in which the making of a world falls on its first frame.
"""

from __future__ import annotations

import time

import cv2
import numpy as np

from driving_perception.renderer import render
from results import save

SIZES_PX = ((480, 360), (240, 180))
FRAMES = 320
WARM_UP = 32


def main() -> None:
    """Render at both sizes, print and keep the rates."""
    cv2.setNumThreads(1)
    rows = []
    for width, height in SIZES_PX:
        for index in range(WARM_UP):
            render(index * 8, seed=1, width_px=width, height_px=height)
        seconds = []
        for index in range(FRAMES):
            before = time.process_time()
            render(index, seed=0, width_px=width, height_px=height)
            seconds.append(time.process_time() - before)
        row = {
            "width_px": width,
            "height_px": height,
            "frames_per_second": FRAMES / sum(seconds),
            "median_ms": 1e3 * float(np.median(seconds)),
            "p95_ms": 1e3 * float(np.percentile(seconds, 95)),
        }
        print(f"{width} × {height}: {row['frames_per_second']:.0f} frames/s, median {row['median_ms']:.1f} ms")
        rows.append(row)
    save("renderer", {"frames": FRAMES, "rows": rows})


if __name__ == "__main__":
    main()
