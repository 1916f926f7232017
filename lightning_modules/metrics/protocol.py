"""What an evaluation measures and against which candidates: the choices that make two numbers comparable."""

from collections.abc import Sequence

from lightning_modules.types import Metric


class EvaluationProtocol:
    """Every query is ranked against the whole catalogue; samples of it can reorder models (Krichene & Rendle 2020).

    metrics: computed for each query, in this order. mask_history: items of the user's history are no candidates, unless
    they are the answer. top_k: length of the recommended lists that are kept; the metrics have their own k and do not
    depend on it. valid_queries: how many validation queries are ranked, None for all; the test set is always whole.
    Raises `ValueError` where nothing is measured, two metrics share a name, or a number is below 1.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        mask_history: bool = True,
        top_k: int = 20,
        valid_queries: int | None = None,
    ) -> None:
        names = [metric.name for metric in metrics]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if not names:
            raise ValueError("an evaluation without metrics measures nothing; name at least one, such as ndcg at k=10")
        if repeated:
            raise ValueError(f"metrics {repeated} are listed twice; each may stand once")
        if top_k < 1:
            raise ValueError(f"top_k={top_k}: a recommended list has at least 1 item")
        if valid_queries is not None and valid_queries < 1:
            raise ValueError(f"valid_queries={valid_queries}: give at least 1, or null for all")
        self.metrics, self.mask_history = tuple(metrics), mask_history
        self.top_k, self.valid_queries = top_k, valid_queries
