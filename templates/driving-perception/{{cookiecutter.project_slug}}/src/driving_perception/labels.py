"""What the values of a mask mean: classes by value or by colour, and the palettes that they are drawn in.

A class index counts from 0; `IGNORE` (255) is no class and takes part in no loss and no score. Every value that may
stand in a mask is named, those to ignore included: one that is not is an unknown id, and its frame is not used.
"""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from paceline.errors import PacelineError

IGNORE = 255
UNKNOWN = 254  # of an encoded mask: a value that the label map does not name
MAX_CLASSES = 254
IGNORED_NAME = "ignore"  # in [data.labels]: what is no class

Colour = tuple[int, int, int]

# Cordts et al., "The Cityscapes Dataset" (2016): train id → name, label id, colour.
CITYSCAPES: tuple[tuple[str, int, Colour], ...] = (
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
CITYSCAPES_IDS = 34  # from 0; the licence plate's -1 is 255 in a file

# Brostow et al., "Semantic Object Classes in Video" (2009), the 32 classes in their colours, in the 11 groups of
# Sturgess et al. (2009) and SegNet. The first of a group is the one whose colour the group is drawn in.
CAMVID: tuple[tuple[str, tuple[Colour, ...]], ...] = (
    ("sky", ((128, 128, 128),)),
    ("building", ((128, 0, 0), (192, 0, 128), (0, 128, 64), (64, 0, 64), (64, 192, 0))),  # arch, bridge, tunnel, wall
    ("pole", ((192, 192, 128), (0, 0, 64))),  # traffic cone
    ("road", ((128, 64, 128), (128, 0, 192), (192, 0, 64))),  # lane markings
    ("pavement", ((0, 0, 192), (64, 192, 128), (128, 128, 192))),  # parking block, shoulder
    ("tree", ((128, 128, 0), (192, 192, 0))),  # other vegetation
    ("sign", ((192, 128, 128), (128, 128, 64), (0, 64, 64))),  # text, traffic light
    ("fence", ((64, 64, 128),)),
    ("car", ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64))),  # SUV, truck, train, other
    ("pedestrian", ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64))),  # child, pram, animal
    ("bicyclist", ((0, 128, 192), (192, 0, 192))),  # motorcycle
)
CAMVID_VOID = 11  # in SegNet's masks

COMMA10K: tuple[tuple[str, Colour], ...] = (
    ("road", (0x40, 0x20, 0x20)),
    ("lane marking", (0xFF, 0x00, 0x00)),
    ("undrivable", (0x80, 0x80, 0x60)),
    ("movable", (0x00, 0xFF, 0x66)),
    ("my car", (0xCC, 0x00, 0xFF)),
)
COMMA10K_IN_CAR: Colour = (0x00, 0xCC, 0xFF)  # people and things in the own car, of the driver's camera alone


@dataclass(frozen=True)
class Labels:
    """A label map.

    Attributes:
        classes: their names; the place is the class index.
        colours: what each is drawn in, RGB.
        by: whether masks hold values or colours.
        indices: class index, or `IGNORE`, by value, or by colour as 0xRRGGBB.
    """

    classes: tuple[str, ...]
    colours: tuple[Colour, ...]
    by: Literal["value", "colour"]
    indices: Mapping[int, int]

    def encode(self, mask: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the class indices of a mask, `IGNORE` and `UNKNOWN` among them.

        Args:
            mask: (height, width) of values up to 65535, or (height, width, 3) of RGB, as `by` says.
        """
        table = _table(self.by, tuple(self.indices.items()))
        return table[mask if self.by == "value" else _packed(mask)]

    def unknown(self, mask: NDArray[Any]) -> list[str]:
        """Return the values of a mask that the map lacks, written as in the configuration."""
        values = np.unique(mask if self.by == "value" else _packed(mask))
        return [_written(int(value), self.by) for value in values if int(value) not in self.indices]

    def draw(self, indices: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return class indices as RGB; what is ignored is black.

        >>> cityscapes("trainIds").draw(np.array([[0, 255]], np.uint8)).tolist()
        [[[128, 64, 128], [0, 0, 0]]]
        """
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(self.colours)] = self.colours
        return palette[indices]

    def state(self) -> dict[str, Any]:
        """Return the map as JSON types, for the key of the cache."""
        return {"classes": list(self.classes), "by": self.by, "indices": sorted(self.indices.items())}


def cityscapes(files: Literal["labelIds", "trainIds"]) -> Labels:
    """Return the 19 classes that Cityscapes scores, for masks of label ids or of train ids."""
    names, ids, colours = zip(*CITYSCAPES, strict=True)
    indices = dict.fromkeys(range(CITYSCAPES_IDS), IGNORE) if files == "labelIds" else {}
    indices |= {value: index for index, value in enumerate(ids if files == "labelIds" else range(len(ids)))}
    return Labels(names, colours, "value", indices | {IGNORE: IGNORE})


def camvid(by: Literal["value", "colour"]) -> Labels:
    """Return CamVid's 11 classes, for SegNet's masks of values or for the original ones of colours."""
    colours = tuple(group[0] for _, group in CAMVID)
    if by == "value":
        indices = {index: index for index in range(len(CAMVID))} | {CAMVID_VOID: IGNORE, IGNORE: IGNORE}
    else:
        indices = {hexadecimal(colour): index for index, (_, group) in enumerate(CAMVID) for colour in group}
        indices[0] = IGNORE  # void is black
    return Labels(tuple(name for name, _ in CAMVID), colours, by, indices)


def comma10k() -> Labels:
    """Return comma10k's five classes of the road camera."""
    indices = {hexadecimal(colour): index for index, (_, colour) in enumerate(COMMA10K)}
    indices[hexadecimal(COMMA10K_IN_CAR)] = IGNORE
    return Labels(tuple(name for name, _ in COMMA10K), tuple(colour for _, colour in COMMA10K), "colour", indices)


def configured(table: Mapping[str, int | str | Sequence[int | str]]) -> Labels:
    """Return the label map of `[data.labels]`: a class's value or colour `"#rrggbb"`, or a list of them, by its name.

    The name `ignore` holds what is no class; with values, 255 is ignored without being named.

    Raises:
        PacelineError: it is empty, mixes values and colours, or names one twice.

    >>> configured({"road": [0, 1], "car": 2, "ignore": 9}).indices
    {0: 0, 1: 0, 2: 1, 9: 255, 255: 255}
    """
    given = {name: _values(name, entry) for name, entry in table.items()}
    classes = tuple(name for name in given if name != IGNORED_NAME)
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise PacelineError(
            f"[data.labels] names {len(classes)} classes.",
            f'Name 1 to {MAX_CLASSES}, such as road = 0, or road = "#804080" for masks of colours.',
        )
    kinds = {type(value) for values in given.values() for value in values}
    if len(kinds) > 1:
        raise PacelineError("[data.labels] mixes values and colours.", "Write all as numbers or all as '#rrggbb'.")
    by: Literal["value", "colour"] = "colour" if kinds == {str} else "value"
    indices: dict[int, int] = {}
    for name, values in given.items():
        for value in values:
            key = _colour(name, value) if isinstance(value, str) else value
            if key in indices or not 0 <= key < 2**24 or (by == "value" and key >= 2**16):
                raise PacelineError(
                    f"[data.labels] {name} is {_written(key, by)}, which is taken already or no value of a mask.",
                    "Give each value and colour once, values from 0 to 65535.",
                )
            indices[key] = IGNORE if name == IGNORED_NAME else classes.index(name)
    if by == "value":
        indices.setdefault(IGNORE, IGNORE)
        return Labels(classes, spread(len(classes)), by, indices)
    first = {index: key for key, index in reversed(indices.items())}
    colours = tuple(_rgb(first[index]) for index in range(len(classes)))
    return Labels(classes, colours, by, indices)


def spread(count: int) -> tuple[Colour, ...]:
    """Return `count` colours that are far apart: hues by the golden ratio, in three brightnesses."""
    rgb = (colorsys.hsv_to_rgb((place * 0.618034) % 1, 0.75, (1.0, 0.75, 0.5)[place % 3]) for place in range(count))
    return tuple((round(red * 255), round(green * 255), round(blue * 255)) for red, green, blue in rgb)


def hexadecimal(colour: Colour) -> int:
    """Return a colour as 0xRRGGBB."""
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _values(name: str, entry: int | str | Sequence[int | str]) -> list[int | str]:
    values = [entry] if isinstance(entry, int | str) else list(entry)
    if not values:
        raise PacelineError(f"[data.labels] {name} is empty.", "Give it a value or a colour, or leave it out.")
    return values


def _colour(name: str, text: str) -> int:
    digits = text.removeprefix("#")
    if len(digits) != 6 or not set(digits.lower()) <= set("0123456789abcdef"):
        raise PacelineError(f"[data.labels] {name} is '{text}'.", "Write a colour as '#rrggbb', such as '#804080'.")
    return int(digits, 16)


def _rgb(colour: int) -> Colour:
    return colour >> 16, colour >> 8 & 255, colour & 255


def _written(value: int, by: str) -> str:
    return str(value) if by == "value" else f"#{value:06x}"


def _packed(mask: NDArray[Any]) -> NDArray[np.uint32]:
    red, green, blue = (mask[..., channel].astype(np.uint32) for channel in range(3))
    packed: NDArray[np.uint32] = np.bitwise_or(np.bitwise_or(red * 65536, green * 256), blue, dtype=np.uint32)
    return packed


@functools.lru_cache(maxsize=4)
def _table(by: str, indices: tuple[tuple[int, int], ...]) -> NDArray[np.uint8]:
    """Return the class index by value or colour: one look-up a pixel, whatever the number of classes."""
    table = np.full(2**16 if by == "value" else 2**24, UNKNOWN, np.uint8)
    for value, index in indices:
        table[value] = index
    return table
