"""The targets whose pictures are drawn, with their scores and what ready-made overlays are of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import Column, Results
from cameval.evaluation._contents import Contents
from cameval.report._image_choice import pick_rows, required_images
from cameval.report._image_index import keys_of
from cameval.report._image_records import best_column


@dataclass(frozen=True, eq=False)
class Rows:
    """The targets of a model, with their scores by each pair.

    Parameters
    ----------
    keys
        The name of the sample, the label, and the number of the row among those alike.
    images, labels
        The number of the image and the label of each target; -1 for none.
    scores
        Scores ``(n, pairs)``.
    picks
        The rows of ready-made overlays, in order, by their names; of each pair of the first target
        class. The first pair is the one with the best mean, then come those of choices.
    """

    keys: Sequence[tuple[str, int | None, int]]
    images: NDArray[np.intp]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    picks: Mapping[int, Mapping[str, int]]

    @classmethod
    def of(
        cls,
        results: Results,
        contents: Contents,
        pairs: Sequence[tuple[str, str, str, str]],
        choices: Sequence[str],
    ) -> "Rows":
        """Return the targets of results of one model."""
        columns = [_column(pair, results) for pair in pairs]
        keys = keys_of(results)
        number: dict[str, int] = {}
        for name, _, _ in keys:
            number.setdefault(name, len(number))
        scores = results.values[:, columns]
        first = [pair for pair in pairs if pair[0] == pairs[0][0]]  # target class of the page
        shown = [results.columns[c] for c in columns[: len(first)]]
        best_one = best_column(results, contents, contents.models[0], shown)
        best = 0 if best_one is None else shown.index(best_one)
        order = sorted(range(len(first)), key=lambda k: (k != best, first[k][2] not in choices))
        number_of = {columns[k]: k for k in reversed(order)}  # one for each column
        higher = contents.averaged_metrics[shown[0].metric].higher_is_better
        images = np.array([number[name] for name, _, _ in keys], np.intp)
        areas = results.samples["area"].to_numpy(np.float64)
        return cls(
            keys,
            images,
            np.array([-1 if label is None else label for _, label, _ in keys], np.int64),
            scores,
            {
                k: pick_rows(scores[:, k], images, areas, higher_is_better=higher)
                for k in order
                if number_of[columns[k]] == k
            },
        )

    @property
    def best(self) -> int:
        """The number of the pair with the best mean."""
        return next(iter(self.picks))

    def images_of(self, pair: int) -> list[int]:
        """Return the images of the ready-made overlays of a pair."""
        return [int(self.images[row]) for row in self.picks[pair].values()]

    def required(self, limit: int) -> list[int]:
        """Return the images of ready-made overlays that are drawn in any case."""
        return required_images(map(self.images_of, self.picks), limit)

    def wanted(self, chosen: NDArray[np.intp]) -> dict[int, list[tuple[int, str]]]:
        """Return the pairs and names of the overlays of each row, if images are chosen.

        A pair other than the best has all of its overlays or none.
        """
        found: dict[int, list[tuple[int, str]]] = {}
        for pair, picks in self.picks.items():
            if pair == self.best or np.isin(self.images_of(pair), chosen).all():
                for pick, row in picks.items():
                    found.setdefault(row, []).append((pair, pick))
        return found


def _column(pair: tuple[str, str, str, str], results: Results) -> int:
    """Return the number of the column that has the scores of a pair."""
    target_class, method, binarizer, metric = pair
    columns = [Column(target_class, "method", method, one, metric) for one in (binarizer, "")]
    return next(results.columns.index(one) for one in columns if one in results.columns)
