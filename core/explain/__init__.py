"""Why a propensity is what it is, what would change it, and whether the model can be trusted with whom it scores.

Models come in as callables from feature rows or histories to log-odds; nothing here knows how a model is made.
"""
