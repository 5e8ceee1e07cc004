"""Draw what `scripts/demo` prints as a terminal shows it, in SVG. Pure."""

import re
from html import escape

_LINE = re.compile(r"\[(?P<who>\w+)\]: (?P<what>.*?) => (?P<answer>.*)")
_LONGEST_STEP = 76
_LONGEST_ANSWER = 66
_COLUMN, _ROW, _TOP, _LEFT = 7.23, 21, 60, 22
# On the background of the picture each has a contrast of at least 7 to 1.
_COLOURS = {"2": "#7ee2a8", "4": "#ffb199", "": "#d7e0ea"}
_QUIET = "#9fb0c3"


def draw_scenario(printed: str, *, title: str = "scripts/demo") -> str:
    """Draw the steps that have an answer.

    Args:
        printed: what was printed.
        title: the command, shown above.
    """
    steps = [found for line in printed.splitlines() if (found := _LINE.match(line))]
    height = _TOP + _ROW * (2 * len(steps) + 1)
    width = round(2 * _LEFT + _COLUMN * (_LONGEST_STEP + 14))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'role="img" aria-label="What {title} prints" font-size="12" '
        'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace">',
        f'<rect width="{width}" height="{height}" rx="10" fill="#111922"/>',
        *(
            f'<circle cx="{_LEFT + 18 * n}" cy="22" r="5.5" fill="{colour}"/>'
            for n, colour in enumerate(("#ff6159", "#ffbd2f", "#28c941"))
        ),
        _text(_LEFT + 60, 26, f"$ {title}", "#ffffff"),
    ]
    for number, step in enumerate(steps):
        top = _TOP + _ROW * 2 * number
        status = re.match(r"(?:response: )?(\d)\d\d ", step["answer"])
        colour = _COLOURS[status[1]] if status else _COLOURS[""]
        answer = _shortened(step["answer"].removeprefix("response: "), _LONGEST_ANSWER)
        parts.append(_text(_LEFT, top, f"[{step['who']}]", _QUIET))
        parts.append(_text(_LEFT + 11.5 * _COLUMN, top, _readable(step["what"]), _COLOURS[""]))
        parts.append(_text(_LEFT + 11.5 * _COLUMN, top + _ROW - 2, f"→ {answer}", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _readable(step: str) -> str:
    """Leave out the ports, which differ from run to run, and shorten."""
    return _shortened(re.sub(r"https?://[^/ ]+/", "/", step), _LONGEST_STEP)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _text(left: float, top: float, text: str, colour: str) -> str:
    return (
        f'<text x="{left:g}" y="{top:g}" fill="{colour}" xml:space="preserve">{escape(text)}</text>'
    )
