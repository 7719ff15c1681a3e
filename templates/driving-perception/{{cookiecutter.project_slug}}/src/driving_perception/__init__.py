"""Driving perception: camera frames in, segmentation, boxes or lanes out within a latency budget, and how long training took."""
