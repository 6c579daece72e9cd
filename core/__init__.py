"""Shopper Atlas core: everything the dashboard shows, without a screen."""

__version__ = "0.1.0"
