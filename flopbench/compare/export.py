"""A comparison in other people's formats: JSON, Markdown for a pull request, JUnit XML, and customBiggerIsBetter."""

from __future__ import annotations

import math
from typing import Any
from xml.etree import ElementTree

from flopbench.compare.verdict import MetricVerdict, overall_exit_code
from flopbench.units import percent, rate

_MARKS = {"same": "✅", "faster": "🚀", "slower": "❌", "inconclusive": "❔", "contaminated": "🌫️"}


def document(verdicts: list[MetricVerdict], threshold: float, **more: Any) -> dict[str, Any]:
    """The comparison as JSON types: {"comparison": {threshold, exit_code, metrics: [...], ...}}."""
    metrics = [verdict.document() for verdict in verdicts]
    return {
        "comparison": {"threshold": threshold, "exit_code": overall_exit_code(verdicts), "metrics": metrics, **more}
    }


def cells(verdict: MetricVerdict) -> list[str]:
    """One row of a table: metric, base, head, ratio with interval, noise floor, n, verdict."""
    rates = [rate(value, verdict.unit) if value else "-" for value in (verdict.base_rate, verdict.head_rate)]
    floor = percent(verdict.noise_floor) if verdict.noise_floor is not None else "-"
    dropped = f" (-{len(verdict.dropped)})" if verdict.dropped else ""
    return [verdict.metric, *rates, ratio_text(verdict), floor, f"{verdict.n}{dropped}", word(verdict)]


def ratio_text(verdict: MetricVerdict) -> str:
    """The ratio head / base and its interval: "0.851 [0.842, 0.860]"."""
    if verdict.interval is None:
        return "-"
    ratio, low, high = verdict.interval.ratios()
    return f"{ratio:.3f} [{low:.3f}, {'∞' if high == math.inf else f'{high:.3f}'}]"


def word(verdict: MetricVerdict) -> str:
    """The verdict as printed; a failed verification outranks it."""
    return "FAILED" if verdict.failures else verdict.word


def explanations(verdicts: list[MetricVerdict]) -> list[str]:
    """A line per metric that says why, and one per failure and per run put aside."""
    lines = []
    for verdict in verdicts:
        lines.append(f"{verdict.metric}: {word(verdict)}: {verdict.reason}")
        lines += [f"{verdict.metric}: {text}" for text in [*verdict.failures, *verdict.dropped]]
    return lines


def markdown(verdicts: list[MetricVerdict], threshold: float) -> str:
    """A table for a pull request's comment, the reasons folded below it."""
    rows = [
        f"### flopbench: {_headline(verdicts)}",
        "",
        f"Base and head in the same job; a slow-down of more than {100 * threshold:g} % counts. Ratio: head / base.",
        "",
        "| metric | base | head | ratio | noise floor | n | verdict |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for verdict in verdicts:
        *columns, text = cells(verdict)
        mark = "❌" if verdict.failures else _MARKS[verdict.word]
        rows.append("| " + " | ".join(_plain(column) for column in columns) + f" | {mark} {text} |")
    rows += ["", "<details><summary>Reasons</summary>", ""]
    rows += [f"- {_plain(line)}" for line in explanations(verdicts)]
    return "\n".join([*rows, "", "</details>", ""])


def junit(verdicts: list[MetricVerdict]) -> str:
    """JUnit XML: slower and FAILED are failures; inconclusive and contaminated are skipped, with the reason."""
    suite = ElementTree.Element("testsuite", name="flopbench", tests=str(len(verdicts)), errors="0")
    suite.set("failures", str(sum(verdict.exit_code == 1 for verdict in verdicts)))
    suite.set("skipped", str(sum(verdict.exit_code == 3 for verdict in verdicts)))
    for verdict in verdicts:
        case = ElementTree.SubElement(suite, "testcase", classname="flopbench", name=verdict.metric)
        message = f"{word(verdict)}: {verdict.reason}"
        if verdict.exit_code == 1:
            failure = ElementTree.SubElement(case, "failure", message=message, type=word(verdict))
            failure.text = "\n".join([ratio_text(verdict), *verdict.failures])
        elif verdict.exit_code == 3:
            ElementTree.SubElement(case, "skipped", message=message)
        out = ElementTree.SubElement(case, "system-out")
        out.text = "\n".join([f"ratio {ratio_text(verdict)}", *verdict.dropped])
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def bigger_is_better(verdicts: list[MetricVerdict]) -> list[dict[str, Any]]:
    """`customBiggerIsBetter` of github-action-benchmark: name, unit, value, range, extra; head's rates in giga-units."""
    return [
        {
            "name": verdict.metric,
            "unit": f"G{verdict.unit}",
            "value": verdict.head_rate / 1e9,
            "range": f"± {100 * verdict.noise_floor:.1f} %" if verdict.noise_floor is not None else "",
            "extra": f"{word(verdict)}: ratio {ratio_text(verdict)}; {verdict.reason}",
        }
        for verdict in verdicts
        if verdict.head_rate
    ]


def _headline(verdicts: list[MetricVerdict]) -> str:
    counts = {w: sum(word(v) == w for v in verdicts) for w in ("FAILED", "slower", "inconclusive", "contaminated")}
    found = [f"{count} {text}" for text, count in counts.items() if count]
    return ", ".join(found) or f"no regression in {len(verdicts)} metric{'s' if len(verdicts) > 1 else ''}"


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
