"""Payment-fraud detection: transactions in, calibrated probabilities and alerts out, and how long that took."""
