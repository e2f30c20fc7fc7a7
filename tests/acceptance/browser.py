"""Debian's Chromium for tests of pages, without a network beyond this machine."""

from __future__ import annotations

import base64
import json
import shutil
from importlib.util import find_spec
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = (
    None
    if CHROMIUM and DRIVER
    else "no chromium and chromedriver; Debian's packages of these names have them"
)
PATIENCE_SECONDS = 30
POLICY = "default-src 'self'"
OURS = "{include: [['#content']], exclude: [['#toolbar']]}"  # the search box is Django's


def strict_policy(get_response):
    """Middleware: nothing inline, nothing from elsewhere."""

    def middleware(request):
        response = get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response

    return middleware


class Browser:
    """A browser with the few words that tests of pages need; width and height in CSS pixels."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for word in (
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--no-proxy-server",
        ):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options, Service(DRIVER))
        self.driver.set_script_timeout(PATIENCE_SECONDS)

    def quit(self):
        self.driver.quit()

    def log_in(self, address, client):
        """Take over the session of a Django test client that is logged in."""
        self.driver.get(address + "/static/bemi_orm/bemi.css")
        self.driver.add_cookie({"name": "sessionid", "value": client.cookies["sessionid"].value, "path": "/"})
        self.problems()

    def look(self, *, width=1280, height=900, is_dark=False):
        """Set the window's size and the colour scheme that the system would ask for."""
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self._tell("Emulation.setEmulatedMedia", features=[scheme])

    def set_script(self, *, is_on):
        self._tell("Emulation.setScriptExecutionDisabled", value=not is_on)

    def ignore_policy(self, *, is_on):
        """Let scripts run that the server's policy would stop; in force from the next page on."""
        self._tell("Page.setBypassCSP", enabled=is_on)

    def get(self, url):
        self.driver.get(url)

    def click(self, by, value, index=0):
        self.driver.find_elements(by, value)[index].click()

    def follow(self, by, value, index=0):
        """Click on what leads to another page, and wait until it is there."""
        page = self.driver.find_element("tag name", "html")
        self.click(by, value, index)
        WebDriverWait(self.driver, PATIENCE_SECONDS).until(staleness_of(page))

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self):
        return self.run("return document.body.innerText")

    def problems(self):
        """Give what the console said since the last call: errors of scripts, violations of the policy.

        That a server has no icon, which a browser asks for by itself, is none.
        """
        messages = [entry["message"] for entry in self.driver.get_log("browser")]
        return [message for message in messages if "/favicon.ico - " not in message]

    def overflow(self):
        """Give by how many pixels the page is wider than the window."""
        return self.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def speak(self, language):
        """Ask for pages in this language from now on."""
        self.driver.add_cookie({"name": "django_language", "value": language, "path": "/"})

    def reset(self):
        """Forget who is logged in, and go back to how it was at first."""
        self.set_script(is_on=True)
        self.ignore_policy(is_on=False)
        self.driver.implicitly_wait(0)
        self.driver.delete_all_cookies()
        self.driver.get("about:blank")
        self.look()

    def picture(self):
        """Give what is in sight as a WebP file."""
        command = ("Page.captureScreenshot", {"format": "webp", "quality": 60})
        return base64.b64decode(self.driver.execute_cdp_cmd(*command)["data"])

    def faults(self):
        """Give what assistive technology would stumble over on this page, all of it unfolded; by axe-core."""
        [script] = (
            Path(place) / "axe.min.js" for place in find_spec("axe_core_python").submodule_search_locations
        )
        self.run("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        self.run(script.read_text())
        found = self.driver.execute_async_script(
            f"const done = arguments[arguments.length - 1];axe.run({OURS}).then(done)"
        )
        faults = {(each["id"], node["html"][:200]) for each in found["violations"] for node in each["nodes"]}
        return json.dumps(sorted(faults), indent=1) if faults else ""

    def _tell(self, command, **arguments):
        self.driver.execute_cdp_cmd(command, arguments)
