"""Whether more or less of a metric is better."""

LOWER_IS_BETTER = ("loss", "mae", "perplexity", "rmse")


def sign_of(metric: str) -> int:
    """1 where more of the metric is better, -1 where less is."""
    return -1 if metric.rpartition("/")[2] in LOWER_IS_BETTER else 1
