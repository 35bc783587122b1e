"""Take the pictures of the console for its documentation, from a run of the demo in Debian's Chromium."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
_SECONDS = 120
_PLACES = re.compile(r"console\s+(http://\S+)/console\s.*?token\s+(\S+)", re.DOTALL)


def take(page: Page, base: str, token: str) -> None:
    """Sign in, and take a picture of each screen."""
    page.goto(base)
    page.fill("#token", token)
    page.click("button:has-text('Sign in')")
    page.wait_for_selector("header nav")
    page.screenshot(path=FOLDER / "console-today.png")
    page.click("nav >> text=Interviews")
    page.click("tbody a >> nth=0")
    page.wait_for_selector(".timeline")
    page.screenshot(path=FOLDER / "console-receipt.png")
    page.goto(f"{base}/console/launches")
    page.click("tbody a >> nth=-1")
    page.wait_for_selector(".figures")
    page.screenshot(path=FOLDER / "console-launch.png")


def main() -> None:
    """Run the demo until it waits, take the pictures, and end it."""
    with TemporaryDirectory() as home:
        log = Path(home) / "demo.log"
        words = [sys.executable, "-m", "connector", "demo", "--keep"]
        with log.open("w") as written, subprocess.Popen(words, stdout=written, stderr=written) as demo:  # noqa: S603 - ours
            try:
                until = time.monotonic() + _SECONDS
                while (found := _PLACES.search(log.read_text())) is None:
                    if time.monotonic() > until or demo.poll() is not None:
                        raise SystemExit("The demo did not come to its end.")
                    time.sleep(0.5)
                with sync_playwright() as driver:
                    browser = driver.chromium.launch(
                        executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                    )
                    page = browser.new_page(viewport={"width": 1200, "height": 760}, color_scheme="light")
                    take(page, *found.groups())
                    browser.close()
            finally:
                demo.terminate()


if __name__ == "__main__":
    main()
