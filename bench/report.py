"""What a measure found: rows of samples, comparisons with what was promised, and both as text and as JSON."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

BOUNDS = {"at least": operator.ge, "at most": operator.le}


@dataclass(frozen=True)
class Row:
    """The samples of one target, or of one situation."""

    label: str
    samples: Sequence[float]
    remark: str = ""

    @property
    def median(self) -> float:
        return median(self.samples)


@dataclass(frozen=True)
class Comparison:
    """One number that was promised something: usually the ratio of two medians."""

    label: str
    value: float
    bound: str
    target: float
    unit: str = "x"
    pairs: Sequence[float] = ()
    """The same ratio repetition by repetition, to show how far it strays."""

    @property
    def holds(self) -> bool:
        return bool(BOUNDS[self.bound](self.value, self.target))


@dataclass
class Result:
    """A measure's outcome. A failure says why in a sentence."""

    name: str
    title: str
    unit: str
    rows: list[Row] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failure: str = ""
    reservation: str = ""
    """What the verdict leaves out, for the summary."""

    @property
    def verdict(self) -> str:
        if self.failure:
            return "FAILED"
        return "PASS" if all(comparison.holds for comparison in self.comparisons) else "MISS"


def ratio(label: str, over: Row, under: Row, bound: str, target: float) -> Comparison:
    pairs = [one / other for one, other in zip(over.samples, under.samples, strict=True)]
    return Comparison(label, over.median / under.median, bound, target, pairs=pairs)


def as_text(result: Result) -> str:
    lines = [f"== {result.name}: {result.title}"]
    lines += table(["", f"median {result.unit}", "lowest", "highest", ""], [row_cells(row) for row in result.rows])
    lines += table(["", "value", "by repetition", "promised", ""], [comparison_cells(it) for it in result.comparisons])
    lines += [f"   note: {note}" for note in result.notes]
    lines += [f"   FAILED: {result.failure}"] if result.failure else []
    return "\n".join(lines)


def row_cells(row: Row) -> list[str]:
    numbers = (row.median, min(row.samples), max(row.samples))
    return [row.label, *(figure(number) for number in numbers), row.remark]


def comparison_cells(comparison: Comparison) -> list[str]:
    span = f"{min(comparison.pairs):.2f} to {max(comparison.pairs):.2f}" if comparison.pairs else ""
    value = f"{figure(comparison.value)} {comparison.unit}"
    promised = f"{comparison.bound} {comparison.target:g} {comparison.unit}"
    return [comparison.label, value, span, promised, "PASS" if comparison.holds else "MISS"]


def figure(number: float) -> str:
    """Three or four digits that matter, whatever the size."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Columns of equal width: the first to the left, the figures to the right; nothing where there are no rows."""
    if not rows:
        return []
    widths = [max(len(cells[n]) for cells in [head, *rows]) for n in range(len(head))]
    return ["   " + line(cells, widths).rstrip() for cells in [head, *rows]]


def line(cells: list[str], widths: list[int]) -> str:
    first, *figures, last = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
    padded = (f"{cell.strip():>{len(cell)}}" for cell in figures)
    return "  ".join([first, *padded, last])


def as_json(results: Sequence[Result], facts: dict[str, str]) -> dict[str, Any]:
    return {"facts": facts, "measures": [measure_as_json(result) for result in results]}


def measure_as_json(result: Result) -> dict[str, Any]:
    return {
        "measure": result.name,
        "title": result.title,
        "unit": result.unit,
        "verdict": result.verdict,
        "failure": result.failure or None,
        "reservation": result.reservation.strip() or None,
        "rows": [
            {"label": row.label, "median": row.median, "samples": list(row.samples), "remark": row.remark}
            for row in result.rows
        ],
        "comparisons": [
            {
                "label": it.label,
                "value": it.value,
                "unit": it.unit,
                "promised": f"{it.bound} {it.target:g}",
                "holds": it.holds,
                "by_repetition": list(it.pairs),
            }
            for it in result.comparisons
        ],
        "notes": result.notes,
    }
