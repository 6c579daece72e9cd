"""Profiles to a map: 2-D layout, segments, what is typical of each, their names and how far to trust them."""
