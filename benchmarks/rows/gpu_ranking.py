"""Rows of a GPU: exact ranking of a million items under the graph head, as a share of matrix products, and its
memory."""

from functools import partial

from benchmarks.loops import ranking
from benchmarks.loops.in_turn import Make, alternate
from benchmarks.loops.place import Place
from benchmarks.measuring.row import Row, Side
from benchmarks.measuring.served import Record
from benchmarks.rows.gpu_speed import multiplied, rounds, share_row

GOAL = 0.50
SIZE, QUICK_SIZE = ranking.Size(256, 50, 10**6, 384), ranking.Size(64, 4, 500, 16)


def measure(place: Place) -> list[Row]:
    """Ours and the products in turn. The naive way, whose cosines of 64 users are 12 GiB, only where nothing is left
    of ours."""
    size = QUICK_SIZE if place.quick else SIZE
    makes: dict[str, Make] = {"ours": partial(ranking.loop, size, False, place.device)}
    makes |= {kind: multiplied(kind, place) for kind in ("fp32", "bf16")}
    records = alternate(makes, place, rounds(place), "ranking")
    naive = {"naive": partial(ranking.loop, size, True, place.device)}
    records |= alternate(naive, place, rounds(place), "ranking")
    what = f"graph ranking, {size.users} users x {size.nodes} nodes x {size.items:,} items x {size.dim}"
    return [
        share_row("gpu_ranking_of_fp32", f"{what}: share of a product in fp32", records, ("ours", "fp32"), GOAL),
        share_row("gpu_ranking_of_bf16", f"{what}: share of a product in bf16", records, ("ours", "bf16"), GOAL),
        share_row("gpu_ranking_naive", f"{what}: over the naive (B, H, N)", records, ("ours", "naive"), None),
        memory(what, records),
    ]


def memory(what: str, records: dict[str, Record]) -> Row:
    """The peaks, the item vectors included; detail says what stays between turns: vectors twice, table, products."""
    sides = [Side(loop, records[loop].command.shown(), records[loop].peak_bytes / 2**30) for loop in ("ours", "naive")]
    ratio = records["ours"].peak_bytes / records["naive"].peak_bytes
    detail = {f"{loop}_stays_gib": records[loop].ready_bytes / 2**30 for loop in ("ours", "naive")}
    return Row("gpu_ranking_memory", f"{what}: peak memory", "GiB", sides, ratio, 1.0, at_most=True, detail=detail)
