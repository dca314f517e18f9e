"""Foundations that all layers share."""
