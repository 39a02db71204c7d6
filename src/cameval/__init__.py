"""Where a CNN classifier looked, and how well that agrees with ground-truth masks."""
