"""Measure the second family: the truth of its pairs by cross-play, chance, steps, policies, divergence and overlap."""
