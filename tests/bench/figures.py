"""Numbers of several rounds, and how they are shown."""
import math
import statistics


def percentiles(values):
    """p50, p90, p99 and max of single operations, as the programs of this folder give them."""
    ordered = sorted(values)
    shares = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}
    return {name: ordered[max(math.ceil(share * len(ordered)), 1) - 1]
            for name, share in shares.items()}


def number(value):
    """With as many digits as say something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


class Spread:
    """What the rounds gave of one figure."""

    def __init__(self, values):
        self.values = list(values)
        if not self.values:
            raise ValueError("no round has this figure")

    @property
    def median(self):
        return statistics.median(self.values)

    def __str__(self):
        """min – median – max; the number alone where there is but one."""
        if len(self.values) == 1:
            return number(self.median)
        return "–".join(number(value) for value in
                        (min(self.values), self.median, max(self.values)))
