"""A procedural renderer of road scenes: image, mask, boxes, lanes, depth and attributes from (seed, index)."""

from driving_perception.renderer.paint import Lane
from driving_perception.renderer.scene import Box, Scene, render

__all__ = ["Box", "Lane", "Scene", "render"]
