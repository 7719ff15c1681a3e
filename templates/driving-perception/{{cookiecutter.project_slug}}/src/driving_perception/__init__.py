"""Driving perception: camera frames in; segmentation, boxes or lanes out, and how long training took."""
