"""Run records as HTML pages: one file each, nothing outside it, no script, everything from a record escaped."""

from __future__ import annotations

import base64
import hashlib
import urllib.parse
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from paceline import atomic, explain
from paceline.redact import redact
from paceline.report import (
    comparison,
    complexity,
    curves,
    data_sizes,
    figure,
    pictures,
    predicted,
    scale,
    sections,
    strips,
    study,
    svg,
    time_savers,
)
from paceline.report import format as fmt

MOST_BYTES = 1_000_000  # of a page
_FRAME_BYTES = 2_000  # what the template puts around a figure, escaping of its texts included; rather too much


def render(record: Mapping[str, Any]) -> str:
    """Return the report of one run as an HTML page.

    The page needs no network, no script and no other file, follows the reader's light or dark setting, and stays
    under 1 MB: figures that would take it beyond are left out from the last one on, and the page says how many.

    Args:
        record: as `record.Run.state` gives it or `run.json` holds it; parts may be missing or empty, whatever the
            run's status.
    """
    known = sections.prepare(record)
    specs, unfit = _figures(known)
    figures: list[dict[str, Any]] = []
    room = MOST_BYTES - len(_run_page(known, [], unfit, left_out=len(specs)).encode("utf-8"))
    for place, spec in enumerate(specs):
        drawn = _drawn(spec, f"figure-{place}")
        room -= sum(len(part.encode("utf-8")) for part in drawn.values()) + _FRAME_BYTES
        if room < 0:
            break
        figures.append(drawn)
    return _run_page(known, figures, unfit, left_out=len(specs) - len(figures))


def compare(records: Sequence[Mapping[str, Any]]) -> str:
    """Return several runs side by side as an HTML page: time, phases, scores, what differs in their configuration."""
    runs = [sections.prepare(record) for record in records]
    phases = list(dict.fromkeys(name for run in runs for name in run.get("phases") or {}))
    scores = list(dict.fromkeys(name for run in runs for name in run.get("scores") or {}))
    rows_of = [dict(sections.configuration(run.get("config") or {})) for run in runs]
    keys = list(dict.fromkeys(key for rows in rows_of for key in rows))
    differing = [key for key in keys if len({rows.get(key) for rows in rows_of}) > 1]
    scored = [{row["key"]: row for row in _scores(run)} for run in runs]
    longest = max((sections.wall_seconds(run) for run in runs), default=0.0)
    quality = comparison.time_to_quality(runs)
    letters = comparison.letters(len(runs))
    charts = [*comparison.charts(runs), *complexity.charts(letters, runs)]
    return _page(
        "compare.html.jinja",
        title=f"{len(runs)} runs side by side",
        names=[f"{letter}: {fmt.clip(str(run.get('run', '')), 60)}" for letter, run in zip(letters, runs, strict=True)],
        quality=quality | {"texts": [fmt.duration(seconds) for seconds in quality["seconds"]]} if quality else None,
        figures=[_drawn(spec, f"figure-{place}") for place, spec in enumerate(charts)],
        status=[str(run.get("status", "")) for run in runs],
        started=[fmt.moment(run.get("started_at")) for run in runs],
        wall=[fmt.duration(sections.wall_seconds(run)) for run in runs],
        wall_bars=[strips.length_bar(sections.wall_seconds(run) / longest if longest > 0 else 0.0) for run in runs],
        phases=[(fmt.clip(fmt.label(name), 60), [_phase(run, name) for run in runs]) for name in phases],
        scores=[(fmt.label(name), [score.get(name) for score in scored]) for name in scores],
        devices=[sections.device(run) or "-" for run in runs],
        differing=[(key, [rows.get(key, "-") for rows in rows_of]) for key in differing],
        same=len(keys) - len(differing),
    )


def index(records: Sequence[Mapping[str, Any]]) -> str:
    """Return a list of runs, the latest first, as an HTML page to lie in the folder that holds theirs."""
    runs = sorted(
        (sections.prepare(record) for record in records), key=lambda run: str(run.get("started_at")), reverse=True
    )
    letters = comparison.letters(len(runs))
    figures = [_drawn(spec, f"figure-{place}") for place, spec in enumerate(complexity.charts(letters, runs))]
    rows = []
    for letter, run in zip(letters, runs, strict=True):
        name, score = sections.leading_score(run)
        rows.append(
            {
                "name": f"{f'{letter}: ' if figures else ''}{fmt.clip(str(run.get('run', '')), 80)}",
                "link": f"{urllib.parse.quote(str(run.get('run', '')), safe='')}/report.html",
                "started": fmt.moment(run.get("started_at")),
                "status": str(run.get("status", "")),
                "wall": fmt.duration(sections.wall_seconds(run)),
                "score": f"{fmt.label(name)} {sections.score_text(score['value'])}" if score else "-",
                "interval": sections.interval_text(score),
            }
        )
    return _page("index.html.jinja", title="Runs", rows=rows, figures=figures)


def sheet(
    title: str,
    facts: Mapping[str, Any],
    figures: Sequence[Mapping[str, Any]] = (),
    *,
    kind: str = "Data sheet",
    lead: str = "",
) -> str:
    """Return a sheet as an HTML page: what it comes to, figures, facts by name, lists of records as tables."""
    known = redact(atomic.plain(dict(facts)))
    return _page(
        "sheet.html.jinja",
        title=title,
        kind=kind,
        lead=redact(lead),
        figures=[_drawn(figure.check(redact(spec)), f"figure-{place}") for place, spec in enumerate(figures)],
        facts_of_sheet=sections.facts(known),
        tables=sections.tables({key: sections.with_intervals(value) for key, value in known.items()}),
    )


def _run_page(record: Mapping[str, Any], figures: Sequence[Mapping[str, Any]], unfit: int, *, left_out: int) -> str:
    dataset, hardware = record.get("dataset") or {}, record.get("hardware") or {}
    history = record.get("history") or {}
    ledger = sections.ledger(record)
    why = explain.verdict(record, record.get("benchmarks"))
    for row in ledger["rows"]:
        row["bar"] = strips.length_bar(row["width"])
    return _page(
        "run.html.jinja",
        title=fmt.clip(str(record.get("run") or "Run"), 120),
        status=str(record.get("status") or ""),
        headline=sections.headline(record),
        verdict=" ".join([*sections.verdict(record), *_bound(why), *_best_lever(record)]),
        warnings=sections.warnings(record),
        ledger=ledger,
        ledger_bar=strips.share_bar(ledger["shares"], "ledger"),
        sessions=sections.sessions(record),
        why=why,
        why_tables=sections.tables(
            {
                "what each training managed": {
                    str(row["training"]): {name: value for name, value in row.items() if name != "training"}
                    for row in explain.rows(record, record.get("benchmarks"))
                },
                "when the device had nothing to do": explain.idle(record),
            }
        ),
        predicted=predicted.sentences(record),
        predicted_tables=sections.tables(predicted.tables(record)),
        levers=_levers(record),
        data_sizes=_data_sizes(record),
        study=_study(record),
        what_if=sections.tables({"the same project under other conditions": record.get("what_if") or []}),
        history=history,
        diagnosis=curves.diagnosis(history),
        stop_reason=fmt.clip(str(history.get("stop_reason") or ""), 300),
        curves=[_drawn(spec, f"curve-{place}") for place, spec in enumerate(curves.learning_curves(history))],
        scores=_scores(record),
        slices=sections.slices(record),
        score_notes=sections.score_notes(record),
        scores_note=fmt.clip(str(record.get("scores_note") or ""), 600),
        figures=figures,
        left_out=left_out,
        unfit=unfit,
        dataset=sections.facts(dataset),
        dataset_tables=sections.tables(dataset),
        model=sections.facts(record.get("model") or {}),
        model_tables=[
            table for key, value in (record.get("model") or {}).items() for table in sections.rows(key, value)
        ],
        device=sections.device(record),
        hardware=sections.facts(hardware),
        hardware_tables=sections.tables(hardware),
        software=[(name, str(version)) for name, version in (record.get("software") or {}).items()],
        command=fmt.clip(str(record.get("command") or ""), 1000),
        seed=record.get("seed"),
        config=sections.configuration(record.get("config") or {}),
    )


def _bound(why: Sequence[str]) -> list[str]:
    """What the training is bound by, without the evidence, which has a section of its own."""
    return [f"{sentence.partition(':')[0].rstrip('.')}." for sentence in why[:1]]


def _best_lever(record: Mapping[str, Any]) -> list[str]:
    """What of the measured time-savers would make it shorter by most, where one surely would."""
    try:
        best = time_savers.best(record.get("levers") or [])
        return [f"The best time-saver measured here: {time_savers.named(best)}."] if best else []
    except (KeyError, TypeError, ValueError, AttributeError):  # rows that somebody edited
        return []


def _study(record: Mapping[str, Any]) -> dict[str, Any]:
    """The search that found the run's settings; empty where they come from none."""
    found = record.get("study")
    if not found:
        return {}
    try:
        tables = sections.tables({"time by how trials ended": study.table(found)})
        return {"sentence": study.sentence(found), "tables": tables, "link": study.link(found)}
    except (KeyError, TypeError, ValueError, AttributeError):  # a record that somebody edited
        return {}


def _levers(record: Mapping[str, Any]) -> dict[str, Any]:
    """The project's time-savers as tables and charts; empty where they were never measured."""
    found = record.get("levers")
    if not found:
        return {}
    try:
        tables = time_savers.tables(found, str(record.get("levers_score") or "score"))
        charts = [_drawn(spec, f"lever-{place}") for place, spec in enumerate(time_savers.charts(found))]
        return {"verdict": time_savers.verdict(found), "tables": sections.tables(tables), "charts": charts}
    except (KeyError, TypeError, ValueError, AttributeError):  # rows that somebody edited
        return {}


def _data_sizes(record: Mapping[str, Any]) -> dict[str, Any]:
    """What more data brings and costs; empty where that was never measured."""
    found = record.get("data_sizes")
    if not found:
        return {}
    try:
        charts = [_drawn(spec, f"data-size-{place}") for place, spec in enumerate(data_sizes.charts(found))]
        tables = sections.tables({"trainings on shares of the data": data_sizes.table(found)})
        return {"verdict": data_sizes.verdict(found), "tables": tables, "charts": charts}
    except (KeyError, TypeError, ValueError, AttributeError):  # rows that somebody edited
        return {}


def _figures(record: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The figures that can be drawn, and how many cannot: a page is made even from a figure with a mistake."""
    fit = []
    for spec in record.get("figures") or []:
        try:
            fit.append(figure.check(spec))
        except (ValueError, TypeError, AttributeError):
            continue
    return fit, len(record.get("figures") or []) - len(fit)


def _scores(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [row | {"strip": strips.strip(**row["drawn"]) if row["drawn"] else ""} for row in sections.scores(record)]


def _drawn(spec: Mapping[str, Any], key: str) -> dict[str, Any]:
    texts = {"title": fmt.clip(spec["title"], 200), "caption": fmt.clip(str(spec.get("caption") or ""), 800)}
    if spec["kind"] == "pictures":
        return {**texts, "pictures": pictures.draw(spec)}
    return {
        **texts,
        "pictures": "",
        "wide": svg.draw(spec, width=scale.WIDE, key=f"{key}-wide"),
        "narrow": svg.draw(spec, width=scale.NARROW, key=f"{key}-narrow"),
    }


def _phase(record: Mapping[str, Any], name: str) -> str:
    seconds = (record.get("phases") or {}).get(name)
    wall = record.get("wall_seconds") or 0.0
    if seconds is None:
        return "-"
    return f"{fmt.duration(seconds)}, {fmt.share(seconds / wall)}" if wall > 0 else fmt.duration(seconds)


def _page(template: str, **values: Any) -> str:
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    # The style sheet is named by its hash, pictures lie in the page; all else, scripts and addresses, is refused.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    environment = Environment(
        loader=PackageLoader("paceline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["bind"] = fmt.bind
    rendered = environment.get_template(template).render(
        style=Markup(style),  # noqa: S704 -- a file of this package
        policy=policy,
        **values,
    )
    return rendered + "\n"
