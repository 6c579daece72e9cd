"""Shopper Atlas core: everything the dashboard shows, without a screen."""

__version__ = "0.2.0"
