"""Classifiers of medical images: DICOM files in, calibrated and honestly evaluated scores out, and how long it took."""
