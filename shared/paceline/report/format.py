"""Numbers, shares and durations as people read them; the report and the progress line of the commands share them."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from typing import Any, TypeGuard

UNKNOWN = "unknown"
NO_BREAK = "\u00a0"
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_ACRONYMS = {
    word.lower(): word
    for word in (
        *(
            "AUROC",
            "AUPRC",
            "AUC",
            "ROC",
            "PR",
            "HD95",
            "AP50",
            "AP75",
            "mIoU",
            "Dice",
            "PPV",
            "NPV",
            "FROC",
            "Brier",
            "AP",
            "FPR",
            "TPR",
            "F1",
            "ECE",
            "MAE",
            "RMSE",
            "MCC",
            "IoU",
            "mAP",
            "L1",
            "L2",
            "ID",
            "IDs",
        ),
        *("CPU", "GPU", "TPU", "OS", "GB", "MB", "UTC", "FLOPs", "GFLOP", "XGBoost", "DICOM", "ONNX", "URL", "MLP"),
    )
}


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether `value` is a finite number: no truth value, no text, nothing missing."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def duration(seconds: float | None) -> str:
    """Return a span of time with about two meaningful figures; `unknown` for None and NaN.

    >>> duration(0.0042), duration(3.21), duration(83), duration(7_500), duration(200_000)
    ('0.004 s', '3.2 s', '1 min 23 s', '2 h 5 min', '2 d 8 h')
    >>> duration(59.7), duration(float("nan"))
    ('1 min 0 s', 'unknown')
    """
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.995:
        return f"{seconds:.3f} s" if seconds < 0.0995 else f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    whole, minutes, hours = round(seconds), round(seconds / 60), round(seconds / 3600)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, never fewer than its whole part; `unknown` for None and NaN.

    >>> number(0.65243), number(12_345.6), number(2), number(0.00000123), number(-0.5)
    ('0.652', '12,346', '2', '1.23e-6', '-0.500')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    if isinstance(value, int):
        return count(value)
    if abs(value) < 1e-4 or abs(value) >= 1e12:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    if abs(value) < 1:  # 0.652 and 0.052 in one column: decimals count, not significant digits, until they would vanish
        decimals = max(digits, decimals - 1)
    return f"{value:,.{decimals}f}"


def count(value: int) -> str:
    """Return a whole number with its thousands apart.

    >>> count(9500), count(1_754_155)
    ('9,500', '1,754,155')
    """
    return f"{value:,}"


def share(value: float | None) -> str:
    """Return a share of one as per cent; what is neither nothing nor all never reads so.

    >>> share(0.614), share(0.0442), share(0.0003), share(0.9996), share(1.0), share(0.0)
    ('61 %', '4.4 %', '<0.1 %', '>99.9 %', '100 %', '0 %')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    percent = 100 * value
    if percent < 0:
        return f"-{share(-value)}"
    if 0 < percent < 0.05:
        return "<0.1 %"
    if 99.95 < percent < 100:
        return ">99.9 %"
    one_decimal = percent < 9.95 or 99 < percent < 100
    return f"{percent:.1f} %" if one_decimal and percent > 0 else f"{percent:.0f} %"


def moment(text: str | None, plus_seconds: float = 0.0) -> str:
    """Return an ISO 8601 instant, moved by `plus_seconds`, as `29 July 2026, 14:03 UTC`; text that is none unchanged.

    >>> moment("2026-07-29T14:02:10+00:00", 83)
    '29 July 2026, 14:03 UTC'
    """
    try:
        instant = datetime.fromisoformat(text or "") + timedelta(seconds=plus_seconds)
    except (ValueError, OverflowError):
        return text or UNKNOWN
    name = _MONTHS[instant.month - 1]  # not %B: it follows the machine's language
    zone = instant.tzname() or "local time"
    return f"{instant.day} {name} {instant.year}, {instant:%H:%M} {zone}"


def day(text: str, *, year: bool = True) -> str:
    """Return an ISO 8601 date as `5 Feb 2025`, its spaces such that no line breaks in it; other text unchanged.

    >>> day("2025-02-05").replace(NO_BREAK, " "), day("2025-02-05 12:00"), day("soon")
    ('5 Feb 2025', '2025-02-05 12:00', 'soon')
    """
    try:
        found = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return text
    parts = [str(found.day), _MONTHS[found.month - 1][:3], *([str(found.year)] if year else [])]
    return NO_BREAK.join(parts)


def days(first: str, last: str) -> str:
    """Return the days from one ISO 8601 date to another, the year said once where it is one.

    >>> days("2025-02-05", "2025-03-04").replace(NO_BREAK, " "), days("2024-12-30", "2025-01-02").replace(NO_BREAK, " ")
    ('5 Feb to 4 Mar 2025', '30 Dec 2024 to 2 Jan 2025')
    """
    same_year = first[:5] == last[:5] and day(last) != last
    return f"{day(first, year=not same_year)} to {day(last)}"


def label(key: str) -> str:
    """Return a key of a record in words.

    >>> label("validation_average_precision"), label("roc_auc"), label("max_fpr")
    ('validation average precision', 'ROC AUC', 'max FPR')
    """
    return " ".join(_ACRONYMS.get(word.lower(), word) for word in key.split("_") if word) or key


def clip(text: str, length: int) -> str:
    """Return `text` in one line of at most `length` characters, an ellipsis in place of the middle.

    >>> clip("a very long name of a merchant", 16)
    'a very l…erchant'
    """
    text = re.sub(r"\s+", " ", text).strip()
    if len(text) <= length:
        return text
    tail = (length - 1) // 2
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def bind(text: str) -> str:
    """Keep a number and its unit on one line: the space between them becomes one that does not break."""
    return re.sub(r"(?<=\d) (?=(?:%|s|ms|min|h|d|GB|MB|UTC)\b|%)", "\u00a0", text)
