"""Renders a job summary as a PNG like GitHub does, with GitHub's Markdown library and headless Chromium."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cmarkgfm import cmark, github_flavored_markdown_to_html

from sandbox.demo import STORIES
from sandbox.environment import Sandbox
from sandbox.names import ROOT

_EMOJI_FONT = "Noto Color Emoji"
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 24px; width: 912px; background: #fff; color: #1f2328;
  font: 16px/1.5 -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", Helvetica, Arial, sans-serif; }}
h3 {{ font-size: 20px; margin: 0 0 16px; }}
code {{ background: #818b981f; border-radius: 6px; padding: .2em .4em; font: 85% "DejaVu Sans Mono", monospace; }}
pre {{ background: #f6f8fa; border-radius: 6px; padding: 16px; font-size: 85%; overflow: auto; }}
pre code {{ background: none; padding: 0; font-size: 100%; }}
table {{ border-collapse: collapse; margin: 0 0 16px; }}
th, td {{ border: 1px solid #d1d9e0; padding: 6px 13px; text-align: left; }}
tr:nth-child(2n) {{ background: #f6f8fa; }}
blockquote {{ margin: 0 0 16px; padding: 0 1em; color: #59636e; border-left: .25em solid #d1d9e0; }}
a {{ color: #0969da; text-decoration: none; }} details {{ margin-bottom: 16px; }}
</style><body>{body}</body>"""


def page(markdown: str) -> str:
    """Return the HTML page that shows `markdown`."""
    # GitHub allows <details>.
    return _PAGE.format(body=github_flavored_markdown_to_html(markdown, cmark.Options.CMARK_OPT_UNSAFE))


def missing_packages(chromium: str = "chromium") -> list[str]:
    """Return the Debian packages that `draw` needs and this machine lacks."""
    missing = [] if shutil.which(chromium) else ["chromium"]
    fc_list = shutil.which("fc-list")
    if not fc_list:
        missing.append("fontconfig")
    elif _EMOJI_FONT not in subprocess.run([fc_list, ":", "family"], check=True, capture_output=True, text=True).stdout:
        missing.append("fonts-noto-color-emoji")
    return missing


def draw(markdown: str, target: Path, *, height: int, chromium: str = "chromium") -> None:
    """Write the picture to `target`; `height` is in pixels, `chromium` the program's name or path."""
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder) / "summary.html"
        html.write_text(page(markdown), encoding="utf-8")
        subprocess.run(
            [
                chromium,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--hide-scrollbars",
                f"--user-data-dir={folder}/profile",
                f"--window-size=960,{height}",
                f"--screenshot={target}",
                html.as_uri(),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )


def main(arguments: list[str]) -> str | None:
    """Draw the README's picture from a real run, or with FILE HEIGHT a summary from stdin; return an error message."""
    if missing := missing_packages():
        return f"The picture needs Chromium and the font {_EMOJI_FONT}. Run: sudo apt-get install {' '.join(missing)}"
    if arguments:
        draw(sys.stdin.read(), Path(arguments[0]).resolve(), height=int(arguments[1]))
        return None
    with Sandbox() as sandbox:
        draw(STORIES["failure"].run(sandbox).summary, ROOT / "docs" / "summary.png", height=1010)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
