"""Recommendations: sources propose candidates, a learned blend orders them, a sentence says why (see `recommend.py`)."""
