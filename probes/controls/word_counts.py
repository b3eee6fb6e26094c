"""Count words and characters once, and weight them anew for each training set.

tf-idf as scikit-learn has it, (1 + log count) (1 + log (1 + n) / (1 + n_with_it)), rows of length 1 for words and for
characters. Vocabulary and document frequencies are those of the training rows: a column that they lack is zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

WORDS = r"(?u)\b\w+\b|[?!;:,.]"  # single letters, digits and punctuation are cues too


class WordCounts:
    """Words and word pairs of some texts, and pieces of two to four characters of the last `n_characters` of each."""

    def __init__(self, texts: Sequence[str], n_characters: int | None = None) -> None:
        endings = texts if n_characters is None else [text[-n_characters:] for text in texts]
        self._tables = []
        for least, part, counter in (
            (1, texts, CountVectorizer(ngram_range=(1, 2), token_pattern=WORDS)),
            (2, endings, CountVectorizer(ngram_range=(2, 4), analyzer="char")),
        ):
            try:
                counts = counter.fit_transform(part).astype(np.float64)
            except ValueError:  # no text holds a word
                continue
            counts.data = 1 + np.log(counts.data)
            self._tables.append((least, counts.tocsr()))

    def weighted(self, train: Bool[np.ndarray, " n_texts"]) -> sparse.csr_matrix:
        """Weight the counts by a training set.

        Args:
            train: Which texts it holds.

        Returns:
            One row for each text, of the training set or not.
        """
        parts = [sparse.csr_matrix((len(train), 1))]
        for least, counts in self._tables:
            n_with = np.bincount(counts[train].indices, minlength=counts.shape[1])
            known = np.flatnonzero(n_with >= least)
            idf = np.log((1 + train.sum()) / (1 + n_with[known])) + 1
            parts.append(normalize(counts[:, known] @ sparse.diags(idf)))
        return sparse.hstack(parts).tocsr()
