"""The report as a whole: one file, offline, escaped, small, made from any record; looked at in a browser."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from paceline import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
BAD = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{ 7 * 7 }}"
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Collects the elements of a page, its identifiers, and any that are left open or closed twice."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element without content."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which has to be of this kind."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def hostile(value: Any) -> Any:
    """The same record with markup in every text and every free name."""
    if isinstance(value, dict):
        return {key: hostile(item) for key, item in value.items()} | {BAD: BAD}
    if isinstance(value, list):
        return [hostile(item) for item in value]
    return f"{value}{BAD}" if isinstance(value, str) else value


def assert_sound(page: str) -> None:
    """Assert that a page is balanced, has nothing active and nothing from outside, and is small."""
    parsed = Page(page)
    assert (parsed.open, parsed.wrong) == ([], [])
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "form", "base", "image", "use"}
    for tag, attributes in parsed.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "srcset")]
        address = attributes.get("href")
        assert tag == "a" or address is None
        assert address is None or not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", address)
    assert not re.search(r"url\(|@import|expression\(", page)
    identifiers = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert len(page.encode()) < 1_000_000


def test_a_full_report_is_sound_and_has_every_section(record: dict[str, Any]) -> None:
    """Every section of the report is there, in its order, with figures of the record in it."""
    page = report.render(record)
    assert_sound(page)
    headings = [html.unescape(text) for text in re.findall(r"<h2[^>]*>([^<]*)</h2>", page)]
    assert headings == [
        "One warning",
        "Where the time went",
        "Why it took that long",
        "Predicted and actual",
        "What would make it shorter",
        "How its settings were found",
        "Other sizes, other machines",
        "How it learned",
        "How good it is",
        "Seen closer",
        "Data",
        "Model",
        "Machine",
        "Configuration",
        "How time was measured",
    ]
    for part in ("Intel Xeon", "No usable GPU was found.", "293,117", "repeated transaction_id", "train.subsample"):
        assert part in page
    assert page.index("One warning") < page.index("Where the time went")


def test_the_policy_allows_the_page_its_own_style_and_nothing_else(record: dict[str, Any]) -> None:
    """The style sheet is allowed by its hash, and pictures that lie in the page; everything else is refused."""
    page = report.render(record)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert style
    assert policy
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    expected = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert expected == html.unescape(policy[1])


def test_hostile_texts_stay_texts(record: dict[str, Any]) -> None:
    """Markup in every text and key of a record, template syntax included, is shown and not run."""
    bad = hostile(record)
    bad["schema_version"] = 1
    for page in (report.render(bad), report.compare([bad, record]), report.index([bad])):
        assert_sound(page)
        assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|(49)</", page)
    assert "{{ 7 * 7 }}" in report.render(bad)


@pytest.mark.parametrize("status", ["done", "failed", "stopped", "running", "odd"])
def test_a_record_with_nothing_in_it_gives_a_page(bare_record: Callable[..., dict[str, Any]], status: str) -> None:
    """A run that ended before anything was known has a report that says so."""
    page = report.render(bare_record(status=status, error="The file 'x' is missing."))
    assert_sound(page)
    assert "No learning curve was kept" in page
    assert "No scores were recorded." in page
    assert ("The file &#39;x&#39; is missing." in page) == (status in ("failed", "stopped"))
    assert_sound(report.render({}))


def test_missing_and_odd_values_do_not_break_a_page(record: dict[str, Any]) -> None:
    """NaN, None and empty parts anywhere in a record still give a sound page."""
    for key in record:
        assert_sound(report.render(record | {key: None}))
    odd = copy.deepcopy(record)
    odd["scores"]["average_precision"] |= {"low": math.nan, "high": None, "floor": {"value": math.nan}}
    odd["history"]["rows"] = odd["history"]["rows"][:1]
    odd["wall_seconds"] = 0.0
    odd["phases"] = {"train": None}
    odd["predictions"] = [{"p50_seconds": math.inf}]
    odd["figures"].append({"kind": "pie"})
    page = report.render(odd)
    assert_sound(page)
    assert "1 figure of this run could not be drawn" in page


def test_a_page_stays_under_a_megabyte(record: dict[str, Any]) -> None:
    """Long histories are thinned, and figures beyond the limit are left out and counted."""
    record["history"]["rows"] = [row | {"step": place} for place in range(400) for row in record["history"]["rows"]]
    record["figures"] = record["figures"][:1] * 200
    record["warnings"] = ["w" * 5_000] * 500
    record["dataset"]["quarantine"] = [{"reason": "r" * 500, "rows": 1}] * 5_000
    page = report.render(record)
    assert_sound(page)
    left_out = re.search(r"(\d+) more figures are left out", page)
    assert left_out
    assert 1 <= int(left_out[1]) < 200


def test_secrets_are_hidden(record: dict[str, Any]) -> None:
    """Passwords of the configuration and of the command line are not in a page."""
    record["config"]["tune"] = {"storage": "postgresql://me:hunter2@host/db"}
    record["command"] = "train --set tune.password=hunter2"
    assert "hunter2" not in report.render(record) + report.compare([record, record]) + report.index([record])


def test_a_record_read_back_gives_the_same_page(record: dict[str, Any]) -> None:
    """The report depends on the record alone, before and after it went through JSON."""
    assert report.render(record) == report.render(json.loads(json.dumps(record)))


def test_compare_shows_what_differs_and_only_that(record: dict[str, Any]) -> None:
    """Changed keys stand in the comparison with both values, unchanged ones are only counted."""
    other = copy.deepcopy(record)
    other["run"] = "second"
    other["config"]["train"]["rounds"] = 123
    other["phases"]["extra"] = 1.0
    page = report.compare([record, other])
    assert_sound(page)
    assert "train.rounds" in page
    assert "123" in page
    assert "train.subsample" not in page
    assert "extra" in page
    assert "time to the same quality" in page
    assert "Quality against time" in page
    assert_sound(report.compare([]))


def test_index_lists_the_latest_run_first_and_links_to_it(record: dict[str, Any]) -> None:
    """Runs are in falling order of time; a link is the run's folder, quoted, and its report."""
    older = record | {"run": "a b/../c", "started_at": "2025-01-01T00:00:00+00:00", "status": "failed"}
    page = report.index([older, record])
    assert_sound(page)
    links = [attributes["href"] for tag, attributes in Page(page).elements if tag == "a"]
    assert [f"{record['run']}/report.html", "a%20b%2F..%2Fc/report.html"] == links
    assert "There are no runs yet." in report.index([])


def test_contrast_of_text_is_enough_in_light_and_dark() -> None:
    """Text colours reach 4.5 to 1 against the paper (WCAG AA), lines of charts 3 to 1."""
    from paceline.report import page

    style = (Path(page.__file__).parent / "style.css").read_text(encoding="utf-8")
    light, dark = style.split("@media (prefers-color-scheme:dark)")[:2]
    for block in (light, dark.split("@media print")[0]):
        colours = dict(re.findall(r"--([\w-]+):(#[0-9a-f]{3,6})", block))
        for name in ("ink", "quiet", "alert", *(f"c{place}" for place in range(6))):
            assert contrast(colours[name], colours["paper"]) >= 4.5, name
        assert contrast(colours["alert"], colours["alert-paper"]) >= 4.5
        assert contrast(colours["on-strong"], colours["strong"]) >= 4.5
        assert contrast(colours["ink"], colours["tone-a"]) >= 4.5


def contrast(first: str, second: str) -> float:
    """WCAG's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "width", "dark"),
    [
        ("boosting", 1100, False),
        ("boosting", 1100, True),
        ("boosting", 390, False),
        ("network", 1100, True),
        ("network", 390, False),
        ("comparison", 1100, False),
        ("index", 390, True),
    ],
)
def test_a_browser_shows_the_page(
    record: dict[str, Any], network_record: dict[str, Any], tmp_path: Path, kind: str, width: int, dark: bool
) -> None:
    """Chromium draws it without an error on its console, without any request, in the reader's colours."""
    (tmp_path / "page.html").write_text(pages(record, network_record)[kind], encoding="utf-8")
    log = chromium(tmp_path, width=width, dark=dark, height=1600)
    assert "CONSOLE" not in log
    assert requests_of_page(tmp_path) == set()
    columns, rows, pixels = read_png(tmp_path / "shot.png")
    assert (width, 1600) == (columns, rows)
    corner = sum(pixels[0][:3])
    assert (corner < 150) == dark
    drawn = sum(pixels[row] != pixels[0] for row in range(rows))
    assert drawn > rows / 4


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["network", "comparison"])
def test_a_page_can_be_printed(
    record: dict[str, Any], network_record: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    """On several sheets of paper, without an error."""
    (tmp_path / "page.html").write_text(pages(record, network_record)[kind], encoding="utf-8")
    log = chromium(tmp_path, width=1100, dark=False, height=1600, output=f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert "CONSOLE" not in log
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF-")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 20


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.slow
def test_the_policy_stops_what_escaping_would_miss(record: dict[str, Any], tmp_path: Path) -> None:
    """A picture and a script slipped into the page are not fetched; without the policy they are."""
    slipped = '<img src="http://paceline.test/x.png"><script src="http://paceline.test/a.js"></script></main>'
    page = report.render(record).replace("</main>", slipped)
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    assert "Content Security Policy" in chromium(tmp_path, width=400, dark=False, height=400)
    assert requests_of_page(tmp_path) == set()
    (tmp_path / "page.html").write_text(re.sub(r"<meta http-equiv[^>]*>", "", page), encoding="utf-8")
    chromium(tmp_path, width=400, dark=False, height=400)
    assert requests_of_page(tmp_path) == {"http://paceline.test/x.png", "http://paceline.test/a.js"}


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.slow
def test_nothing_is_wider_than_a_phone(record: dict[str, Any], tmp_path: Path) -> None:
    """On a screen of 390 pixels the right margin of 8 pixels stays empty from top to bottom, whatever the names."""
    record["run"] = "x" * 300
    record["warnings"] = ["y" * 400]
    record["dataset"]["z" * 200] = "z" * 300
    record["phases"]["p" * 80] = record["phases"].pop("build")
    record["scores"]["s" * 100] = record["scores"].pop("auc_roc")
    record["config"]["k" * 80] = "v" * 300
    (tmp_path / "page.html").write_text(report.render(record), encoding="utf-8")
    chromium(tmp_path, width=390, dark=False, height=6000)
    columns, rows, pixels = read_png(tmp_path / "shot.png")
    paper = pixels[0][:3]
    edge = [
        row for row in range(rows) if any(pixels[row][3 * x : 3 * x + 3] != paper for x in range(columns - 8, columns))
    ]
    assert edge == []


def pages(record: dict[str, Any], network_record: dict[str, Any]) -> dict[str, str]:
    """Return a page of each kind; in the last two, the network stands beside one of twice its size."""
    larger, (facts,) = copy.deepcopy(network_record), network_record["training"].values()
    changed = {"parameters": 2_400_000, "flops_per_step": 6.1e8, "examples_per_second": 1900.0}
    larger |= {"run": "twice-the-size", "training": {"fit": facts | changed}, "wall_seconds": 131.0}
    runs = [network_record, larger, record]
    return {
        "boosting": report.render(record),
        "network": report.render(network_record),
        "comparison": report.compare(runs),
        "index": report.index(runs),
    }


def chromium(folder: Path, *, width: int, dark: bool, height: int, output: str = "") -> str:
    """Take a screenshot of `page.html`, or the `output` asked for, and a log of the network.

    Returns:
        What Chromium wrote on standard error.
    """
    command = [
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
        "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves this machine
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"),
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--user-data-dir={folder / 'profile'}",
        f"--log-net-log={folder / 'net.json'}",
        output or f"--screenshot={folder / 'shot.png'}",
        f"--window-size={width},{height}",
        (folder / "page.html").as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stderr


def requests_of_page(folder: Path) -> set[str]:
    """The addresses that the page itself asked the network for; the browser's own errands bear another annotation."""
    by_page = 101845102  # Chromium's hash of "blink_resource_loader"
    lines = (folder / "net.json").read_text(encoding="utf-8").splitlines()
    found = (re.search(rf'"traffic_annotation":{by_page},"url":"([^"]+)"', line) for line in lines)
    return {match[1] for match in found if match}


def read_png(path: Path) -> tuple[int, int, list[bytes]]:
    """Return columns, rows and the RGB bytes of each row of a picture."""
    import cv2

    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    return image.shape[1], image.shape[0], [row.tobytes() for row in image]


def test_scores_by_group_are_a_table_below_the_scores(record: dict[str, Any]) -> None:
    """Counts as they are, scores with their interval; a score that is no number is a dash."""
    recall = {"value": 0.625, "low": 0.5, "high": 0.75}
    rows = [
        {"slice": "channel=atm", "transactions": 8421, "recall": recall},
        {"slice": "channel=pos", "transactions": 0, "recall": {"value": None, "low": None, "high": None}},
    ]
    page = report.render(record | {"slices": rows})
    assert '<td>channel=atm</td><td class="number">8,421</td><td>0.625 (0.500 to 0.750)</td>' in page
    assert '<td>channel=pos</td><td class="number">0</td><td>-</td>' in page


def test_notes_explain_the_scores_that_there_are(record: dict[str, Any]) -> None:
    """A note stands below the scores, escaped; one of a score that is not there is left out."""
    page = report.render(record | {"score_notes": {"average_precision": "A <b>mean</b>.", "absent": "Never shown."}})
    assert "<strong>average precision</strong>: A &lt;b&gt;mean&lt;/b&gt;." in page
    assert "Never shown." not in page
