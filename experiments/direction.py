"""Whether more or less of a metric is better."""

LOWER_IS_BETTER = ("loss", "mae", "perplexity", "rmse")
COST = "cost/"
GAINS = ("cost/queries_per_second",)


def sign_of(metric: str) -> int:
    """1 where more of the metric is better, -1 where less is, as of every cost but a speed."""
    if metric.startswith(COST):
        return 1 if metric in GAINS else -1
    return -1 if metric.rpartition("/")[2] in LOWER_IS_BETTER else 1
