"""Classifiers of medical images: DICOM files in, calibrated probabilities and honest scores out, and how long that took."""
