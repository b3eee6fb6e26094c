"""Compute what else could explain a probe's score: words, place, shuffled and permuted labels, control tasks."""
