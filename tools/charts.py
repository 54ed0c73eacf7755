"""Draw one metric of all build methods as bars, or the growth of metrics as lines: SVGs for a light and a dark page."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

# Inches. Two charts fit next to each other in a README, and one fits the width of a phone without being scaled down.
WIDTH, ROW, HEAD = 3.7, 0.24, 0.66
BAR = 0.66
GROWTH_HEIGHT = 3.7
# The line and the marker of each metric in a chart of growth.
LINES = (("-", "o"), ("-", "s"), ("--", "^"), (":", "v"), ("-.", "D"))
# If the largest value exceeds the smallest by this factor, a logarithmic scale keeps short bars visible.
LOGARITHMIC_FROM = 100
# The font that matplotlib bundles, so that the layout does not depend on installed fonts.
SETTINGS = {
    "svg.hashsalt": "comparison",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    # Points: 12 pixels, which are readable on a phone.
    "font.size": 9,
}


@dataclass(frozen=True)
class Theme:
    """The colours of a page."""

    name: str
    text: str
    muted: str
    accent: str
    neutral: str


THEMES = (
    Theme("light", text="#1f2328", muted="#59636e", accent="#0969da", neutral="#afb8c1"),
    Theme("dark", text="#f0f6fc", muted="#9198a1", accent="#4493f8", neutral="#545d68"),
)


def draw(path: Path, metric: Any, summaries: dict[str, dict[str, Any]], alternatives: Collection[str]) -> None:
    """Draw the medians of a metric, smallest first, and label each bar with its ratio.

    Args:
        path: the target path without the theme and `.svg`.
        metric: title, unit and factor of the metric.
        summaries: the summary of each method; ratios are relative to the first one.
        alternatives: the alternatives to this template's strategies.

    """
    save(path, lambda theme: chart(theme, metric, summaries, alternatives))


def draw_growth(path: Path, metrics: dict[str, str], groups: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Draw the ratios of some metrics as lines, side by side for each group.

    Args:
        path: the target path without the theme and `.svg`.
        metrics: the titles of the metrics.
        groups: for each group and each number, such as 10 C files, the summaries of all metrics.

    """
    save(path, lambda theme: growth_chart(theme, metrics, groups))


def save(path: Path, create: Callable[[Theme], Figure]) -> None:
    """Write a chart for each theme; the files are reproducible."""
    with mpl.rc_context(SETTINGS):
        for theme in THEMES:
            figure = create(theme)
            figure.savefig(f"{path}-{theme.name}.svg", transparent=True, metadata={"Date": None, "Creator": None})
            clean_svg(Path(f"{path}-{theme.name}.svg"))


def chart(theme: Theme, metric: Any, summaries: dict[str, dict[str, Any]], alternatives: Collection[str]) -> Figure:
    """Return the chart for one theme."""
    methods = sorted(summaries, key=lambda method: summaries[method]["median"])
    values = [summaries[method]["median"] * metric.factor for method in methods]
    height = HEAD + ROW * len(methods)
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.28, 0.02, 0.4, 1 - HEAD / height))
    logarithmic = max(values) > LOGARITHMIC_FROM * min(values)
    colours = [theme.neutral if method in alternatives else theme.accent for method in methods]
    axes.barh(range(len(methods)), values, height=BAR, color=colours, log=logarithmic)
    axes.set_yticks(range(len(methods)), methods, color=theme.text)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlim(min(values) / 3 if logarithmic else 0, max(values))
    axes.tick_params(length=0)
    axes.xaxis.set_visible(False)
    axes.spines[:].set_visible(False)
    for row, method in enumerate(methods):
        ratio, value = summaries[method]["ratio"]["median"], values[row]
        label = f"{format_rounded(ratio)}\u00d7 \u00b7 {format_rounded(value)} {metric.unit}"
        place = {"xytext": (4, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(label, (value, row), color=theme.text, **place)
    first = next(iter(summaries))
    scale = ", log scale" if logarithmic else ""
    figure.text(0.01, 1 - 0.2 / height, metric.title.capitalize(), color=theme.text, fontsize=11, fontweight="bold")
    figure.text(0.01, 1 - 0.43 / height, f"{first} = 1; lower is better{scale}", color=theme.muted)
    figure.text(0.99, 1 - 0.43 / height, "this template", color=theme.accent, ha="right")
    return figure


def growth_chart(theme: Theme, metrics: dict[str, str], groups: dict[str, dict[str, dict[str, Any]]]) -> Figure:
    """Return the line chart for one theme. Cold builds are neutral, because they need not be repeated."""
    figure = Figure(figsize=(WIDTH, GROWTH_HEIGHT))
    panels = figure.subplots(1, len(groups), sharey=True)
    figure.subplots_adjust(left=0.1, right=0.97, bottom=0.42, top=0.84)
    for axes, (group, summaries) in zip(panels, groups.items(), strict=True):
        for (name, title), (line, marker) in zip(metrics.items(), LINES, strict=True):
            ratios = [each[name]["ratio"]["median"] for each in summaries.values()]
            colour = theme.neutral if name == "cold" else theme.accent
            axes.plot([*summaries], ratios, line, marker=marker, markersize=3, color=colour, label=title)
        axes.set_xlabel(group, color=theme.text)
        axes.tick_params(length=0, colors=theme.text)
        axes.spines[:].set_color(theme.muted)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylim(bottom=0)  # after both panels are drawn, because they share this axis
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", frameon=False, labelcolor=theme.text)
    top = 1 - 0.2 / GROWTH_HEIGHT
    figure.text(0.01, top, "Growth with the size of the project", color=theme.text, fontsize=11, fontweight="bold")
    figure.text(0.01, 1 - 0.43 / GROWTH_HEIGHT, "smallest = 1; lower is better", color=theme.muted)
    return figure


def format_rounded(value: float) -> str:
    """Format a number with one decimal place, or with none from 9.95 on."""
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}"


def clean_svg(path: Path) -> None:
    """Use the reader's system font, and strip trailing whitespace, as the pre-commit hooks require."""
    text = path.read_text("utf-8").replace("'DejaVu Sans'", "system-ui, sans-serif")
    path.write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()), "utf-8")
