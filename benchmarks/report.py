"""What a benchmark found as a Markdown table and a plotly figure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

LABELS = {
    "bare": "bare forward pass",
    "bare_masked": "… with attention mask",
    "reasonlens": "reasonlens",
    "reasonlens_reads": "… three reads from one pass",
    "reasonlens_sites": "… five sites from one pass",
    "reasonlens_unshared": "… without sharing prefixes",
    "reasonlens_compiled": "reasonlens, compiled",
    "hidden_states": "output_hidden_states",
    "transformer_lens": "TransformerLens run_with_cache",
    "nnsight": "nnsight",
    "repeng": "repeng (last token)",
    "steering_vectors": "steering-vectors (last token)",
}


def markdown(report: dict[str, Any]) -> str:
    """A table for each workload."""
    lines = [f"{report['model']} on {report['device']}, {report['n_threads']} thread(s), {report['rounds']} rounds", ""]
    for workload, measured in report["workloads"].items():
        speed, mfu = measured.get("tokens_per_second"), measured.get("mfu")
        lines += [
            f"{workload}: {measured['n_texts']} texts, {measured['n_tokens']} tokens",
            "",
            "| | ratio to bare | least..most | extra memory, MB | disagreement |"
            + (" tokens/s |" if speed else "")
            + (" MFU |" if mfu else ""),
            "|---|---|---|---|---|" + ("---|" if speed else "") + ("---|" if mfu else ""),
        ]
        for name, ratio in measured["ratio"].items():
            low, high = measured["ratio_range"][name]
            row = f"| {LABELS[name]} | {ratio:.3f} | {low:.3f}..{high:.3f} | {measured['extra_memory_mb'][name]:.0f} | "
            row += f"{measured['disagreement'].get(name, '–')} |"
            row += f" {speed[name]:,.0f} |" if speed else ""
            lines.append(row + (f" {mfu[name]:.2f} |" if mfu else ""))
        lines.append("")
    if "prefix_ratio" in report:
        lines += [
            f"Prefix sharing on pairs: {report['prefix_ratio']:.2f}x; by count of tokens, "
            f"{report['prefix_token_ratio']:.2f}x",
            "",
        ]
    return "\n".join(lines)


def figure(report: dict[str, Any]) -> go.Figure:
    """Ratios to the bare forward pass of the first workload, with the least and most of all rounds."""
    workload, measured = next(iter(report["workloads"].items()))
    names = [name for name in measured["ratio"] if name not in ("reasonlens_unshared",)][::-1]
    ratios = [measured["ratio"][name] for name in names]
    ranges = [measured["ratio_range"][name] for name in names]
    bars = go.Figure(
        go.Bar(
            x=ratios,
            y=[LABELS[name] for name in names],
            orientation="h",
            marker_color=["#0072B2" if name == "reasonlens" else "#9AA5B1" for name in names],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - ratio for ratio, (_, high) in zip(ratios, ranges, strict=True)],
                "arrayminus": [ratio - low for ratio, (low, _) in zip(ratios, ranges, strict=True)],
            },
            text=[f"{ratio:.2f}" for ratio in ratios],
            textposition="inside",
            insidetextanchor="start",
        )
    )
    bars.add_vline(x=1, line_dash="dot", line_color="#666")
    bars.update_layout(
        title=f"Time to read every layer, {report['model']}, {measured['n_texts']} texts",
        xaxis_title="time relative to the bare forward pass (median and range of rounds)",
        template="plotly_white",
        width=860,
        height=90 + 46 * len(names),
        margin={"l": 230, "r": 30, "t": 60, "b": 60},
    )
    return bars


def write_report(report: dict[str, Any], out: Path) -> None:
    """benchmark.json, benchmark.md and benchmark.html."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "benchmark.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "benchmark.md").write_text(markdown(report))
    figure(report).write_html(out / "benchmark.html", include_plotlyjs=True, config={"displayModeBar": False})
