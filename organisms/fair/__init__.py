"""Model organisms whose timing and skill are planted on two axes: tiny models that search in words, known by rule."""
