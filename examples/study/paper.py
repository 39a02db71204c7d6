"""What Kang et al. print, and what follows from it, to be compared with what we measure."""

TABLE_2 = {  # mean and standard deviation over five folds: accuracy, precision, recall, F1
    "alexnet": ((0.902, 0.086), (0.900, 0.091), (0.896, 0.089), (0.896, 0.089)),
    "vgg16": ((0.928, 0.089), (0.926, 0.082), (0.928, 0.072), (0.924, 0.087)),
    "vgg19": ((0.950, 0.040), (0.944, 0.048), (0.946, 0.038), (0.944, 0.043)),
}
"""Table 2."""

BEST, BINARIZER = "vgg19", "p95"
MEAN_IOU = 0.153
ABOVE_HALF = {"meningioma": 0.23, "glioma": 0.05, "pituitary": 0.0}
BELOW_HUNDREDTH = {"meningioma": 0.02, "glioma": 0.33, "pituitary": 0.85, "all": 0.42}
LAST_FOLD = {"meningioma": 141, "glioma": 285, "pituitary": 186}
"""Slices of each class in the last of five stratified folds of 3,064 slices."""

CAP = {"meningioma": 0.359, "glioma": 0.424, "pituitary": 0.169, "all": 0.332}
"""Highest mean IoU of masks of 5 % of the frame with the published outlines."""
CAP_ABOVE_HALF = {"meningioma": 0.229, "glioma": 0.355, "pituitary": 0.023, "all": 0.225}
"""Share of the published outlines with which such masks can have an IoU above .5."""


def slices_below_a_hundredth() -> list[tuple[int, ...]]:
    """Return the counts by class that fit every percentage of the paper: there is one triple.

    Whole numbers of slices of the last fold that round to 2, 33 and 85 % of their class, and whose
    sum rounds to 42 % of all.

    Examples
    --------
    >>> slices_below_a_hundredth()
    [(3, 95, 159)]
    """
    fitting = [
        [
            n
            for n in range(total + 1)
            if round(100 * n / total) == round(100 * BELOW_HUNDREDTH[name])
        ]
        for name, total in LAST_FOLD.items()
    ]
    everyone = sum(LAST_FOLD.values())
    return [
        (a, b, c)
        for a in fitting[0]
        for b in fitting[1]
        for c in fitting[2]
        if a + b + c == round(0.42 * everyone) and round(100 * (a + b + c) / everyone) == 42
    ]
