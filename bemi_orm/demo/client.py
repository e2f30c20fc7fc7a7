"""An HTTP client as a browser is one: cookies, CSRF token, log-in form. Standard library only."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from http.cookiejar import CookieJar
from typing import Any, Final

from bemi_orm.exceptions import BemiError

TIMEOUT_SECONDS: Final = 10
CSRF_COOKIE: Final = "bemi_demo_csrf"


class Client:
    """One user's browser.

    address: scheme, host and port of the site. name: the user's name, and the password, too.
    """

    def __init__(self, address: str, name: str) -> None:
        self.name = name
        self._address = address
        self._cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # a proxy of the environment is not for 127.0.0.1
            urllib.request.HTTPCookieProcessor(self._cookies),
        )

    def log_in(self) -> None:
        """Fetch the form with its token, and send it; raises BemiError if the site refuses."""
        self.send("GET", "/login/")
        form = {"username": self.name, "password": self.name}
        self._open("POST", "/login/", urllib.parse.urlencode(form).encode(), {})
        if not any(cookie.name.endswith("session") for cookie in self._cookies):
            raise BemiError(f"The demo site did not let {self.name} in.")

    def send(self, method: str, path: str, data: Mapping[str, Any] | None = None) -> Any:
        """Send JSON and give the JSON of the answer, None if it is not JSON.

        Raises BemiError for a status of 400 or more, and where nothing answers.
        """
        body = None if data is None else json.dumps(data).encode()
        content, content_type = self._open(method, path, body, {"Content-Type": "application/json"})
        return json.loads(content) if content_type == "application/json" else None

    def _open(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[bytes, str]:
        request = urllib.request.Request(  # noqa: S310 - the demo's own address
            self._address + path, body, {**headers, **self._csrf_header()}, method=method
        )
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return response.read(), response.headers.get_content_type()
        except urllib.error.HTTPError as error:
            with error:
                raise BemiError(f"{method} {path} gave status {error.code} {error.reason}.") from error
        except (OSError, HTTPException) as error:
            raise BemiError(f"{method} {path} was not answered: {error}") from error

    def _csrf_header(self) -> dict[str, str]:
        """The cookie's present token; Django changes it at log-in."""
        tokens = [cookie.value or "" for cookie in self._cookies if cookie.name == CSRF_COOKIE]
        return {"X-CSRFToken": tokens[0]} if tokens else {}
