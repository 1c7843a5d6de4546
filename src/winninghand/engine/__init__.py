"""Compiled cards: what a network computes as a short list of steps, and what runs these fast."""
