"""Campaigns over simulated hosts: what they decide, and what a kill at any moment leaves."""
