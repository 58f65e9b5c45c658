"""A real Chromium without a window, spoken to in the DevTools protocol over a pipe: no driver, no library.

https://chromedevtools.github.io/devtools-protocol/ names the commands and events.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.testbed import parts
from tests.testbed.processes import NotInTime, Record, wait_until

# Without a sandbox: the tests run as root. The rest keeps it from looking for hosts of its maker.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-pipe",
)
# Chromium reads its commands from descriptor 3 and answers on 4.
_WITH_PIPES = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE_S = 60.0


class Browser:
    """A running Chromium; closes with `close()`."""

    def __init__(self, directory: Path, record: Record) -> None:
        self._record = record
        commands, self._commands = os.pipe()
        self._answers, answers = os.pipe()
        words = [str(parts.CHROMIUM), *FLAGS, f"--user-data-dir={directory}", "about:blank"]
        self._log = (directory.parent / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WITH_PIPES, str(commands), str(answers), *words],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            env={**os.environ, "HOME": str(directory)},
        )
        record.process(self._process.pid)
        os.close(commands)
        os.close(answers)
        self._number = 0
        self._rest = b""
        self.heard: dict[str, list[dict[str, Any]]] = {}  # events, by the session of their page

    def ask(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """One command; gives its result. An error of Chromium's is a RuntimeError."""
        self._number += 1
        message = {
            "id": self._number,
            "method": method,
            "params": params,
            **({"sessionId": session} if session else {}),
        }
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            said = self._hear()
            if said.get("id") == self._number:
                if "error" in said:
                    raise RuntimeError(f"{method}: {said['error']['message']}")
                result: dict[str, Any] = said["result"]
                return result

    def _hear(self) -> dict[str, Any]:
        latest = time.monotonic() + PATIENCE_S
        while b"\0" not in self._rest:
            if not select.select([self._answers], [], [], max(0.0, latest - time.monotonic()))[0]:
                raise NotInTime(f"Chromium did not answer within {PATIENCE_S:g} s")
            piece = os.read(self._answers, 1 << 20)
            if not piece:
                raise parts.Missing(f"Chromium ended by itself; its log is {self._log.name}")
            self._rest += piece
        text, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(text)
        if "method" in said:
            self.heard.setdefault(said.get("sessionId", ""), []).append(said)
        return said

    def page(self, width: int = 1280, height: int = 800, *, dark: bool = False, scripts: bool = True) -> Page:
        """A new, empty page of this size in CSS pixels."""
        context = self.ask("Target.createBrowserContext", disposeOnDetach=True)["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session, target)
        for domain in ("Page", "Runtime", "Log", "Audits", "Network"):
            page.ask(f"{domain}.enable")
        page.look(width, height, dark=dark)
        page.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        return page

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._record.gone(self._process.pid)
        self._log.close()
        os.close(self._commands)
        os.close(self._answers)


class Page:
    """One page of a browser."""

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        return self._browser.ask(method, self._session, **params)

    def look(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be seen at this size, by somebody who likes it light or dark."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> Page:
        """Go there; returns once all is loaded."""
        self.ask("Page.navigate", url=url)
        wait_until(lambda: self.eval("document.readyState + location.href") == f"complete{url}", PATIENCE_S, url)
        return self

    def eval(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are awaited."""
        result = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(result["exceptionDetails"]["exception"].get("description", "an exception"))
        return result["result"].get("value")

    def wait_for(self, expression: str, within: float = PATIENCE_S) -> None:
        wait_until(lambda: self.eval(expression), within, expression)

    def press(self, key: str) -> None:
        """One key of the keyboard, by its name: `Tab`, `Enter`."""
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)

    def offline(self, on: bool) -> None:
        """Cut the page off from every server, or let it reach them again."""
        speeds = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.ask("Network.emulateNetworkConditions", offline=on, **speeds)

    def close(self) -> None:
        self._browser.ask("Target.closeTarget", targetId=self._target)

    def screenshot(self, path: Path, *, whole: bool = True) -> Path:
        self.ask("Emulation.setScrollbarsHidden", hidden=True)
        self.eval("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if whole:
            size = self.eval("({width: innerWidth, height: document.documentElement.scrollHeight})")
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            shot = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        else:
            shot = self.ask("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def complaints(self) -> list[str]:
        """What the console, the log and the audits have had to say so far: violated policies, errors, exceptions."""
        self.eval("1")  # what was said before this answer has been heard
        said = self._browser.heard.get(self._session, [])
        return [json.dumps(event["params"])[:600] for event in said if _COMPLAINTS.get(event["method"], _never)(event)]


def _never(_event: dict[str, Any]) -> bool:
    return False


_COMPLAINTS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "Runtime.exceptionThrown": lambda _event: True,
    "Runtime.consoleAPICalled": lambda event: event["params"]["type"] in ("error", "warning", "assert"),
    "Log.entryAdded": lambda event: event["params"]["entry"]["level"] in ("error", "warning"),
    "Audits.issueAdded": lambda event: event["params"]["issue"]["code"] == "ContentSecurityPolicyIssue",
}
