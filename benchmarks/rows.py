"""Turn what each benchmark prints into rows of one table: times relative to what each is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]  # case, what, to, ratio, least, most


def collect_rows(results: dict[str, Any]) -> Iterator[Row]:
    for name, workload in results["workloads"].items():
        case = f"{results['model']}, {name if not name.isdigit() else f'texts of {name} tokens'}"
        for way, ratio in workload["ratio"].items():
            yield _row(case, way, "the bare forward pass", ratio, workload["ratio_range"][way])


def probes_rows(results: dict[str, Any]) -> Iterator[Row]:
    for case in results["cases"]:
        for name in ("fit", "choose"):
            if case[name]["speedup"]:
                least, most = case[name]["speedup_range"]
                what = f"{case['shape']}, {case['n']} spans" + (", penalty chosen" if name == "choose" else "")
                yield _row(what, "reasonlens", "scikit-learn", 1 / case[name]["speedup"], [1 / most, 1 / least])


def steer_rows(results: dict[str, Any]) -> Iterator[Row]:
    for batch in results["batches"].values():
        for tool, ways in batch["ratio"].items():
            for way, ratio in ways.items():
                case = f"{results['model']}, {batch['n_prompts']} prompts, {way}"
                yield _row(case, tool, "its own plain generation", ratio, batch["range"][tool][way])


def sampling_rows(results: dict[str, Any]) -> Iterator[Row]:
    for case, measured in results.items():
        yield _row(
            f"{case}, {measured['n_rows']} rows",
            "reasonlens",
            "transformers",
            measured["ratio"],
            measured["ratio_range"],
        )


def hybrid_rows(results: dict[str, Any]) -> Iterator[Row]:
    for batch in results["batches"].values():
        case = f"{batch['n_rows']} rows, {batch['share_steered']:.1%} of the tokens steered"
        yield _row(
            case,
            "reasonlens",
            "both models reading the same texts",
            batch["ratio_to_plain"],
            batch["ratio_to_plain_range"],
        )


def _row(case: str, what: str, to: str, ratio: float, ends: list[float]) -> Row:
    return {
        "case": case,
        "what": what,
        "to": to,
        "ratio": round(ratio, 3),
        "least": round(ends[0], 3),
        "most": round(ends[1], 3),
    }
