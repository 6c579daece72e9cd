"""Counted features and text profiles → a calibrated propensity with a range, judged on a later window beside its baselines."""
