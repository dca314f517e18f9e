"""Drivers run against each other in virtual time, over a network in memory."""
