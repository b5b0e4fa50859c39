"""Readers: one module for each form of catalogue."""
