"""Tuning: settings chosen by a figure that needs no labels."""
