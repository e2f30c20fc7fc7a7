/* Refreshes the newest changes. Without this script the page's Reload link does the same. */
"use strict";

(function () {
  const EVERY_MS = 5000;
  const tail = document.querySelector("[data-bemi-tail]");
  const pause = document.querySelector("[data-bemi-pause]");
  const status = document.querySelector("[data-bemi-status]");
  if (!tail || !pause || !status || !window.fetch) {
    return;
  }
  let etag = tail.dataset.etag;
  let isPaused = false;
  let timer = 0;

  function say(what) {
    status.textContent = status.dataset[what];
  }

  function plan() {
    window.clearTimeout(timer);
    if (!isPaused && !document.hidden) {
      timer = window.setTimeout(refresh, EVERY_MS);
    }
  }

  async function refresh() {
    try {
      const answer = await fetch(tail.dataset.bemiTail, {
        headers: { "If-None-Match": etag },
        cache: "no-store",
        redirect: "error", // to the log-in page: the session has ended
      });
      if (answer.status === 200) {
        show(await answer.text(), answer.headers.get("ETag"));
      } else if (answer.status !== 304) {
        throw new Error(answer.statusText);
      }
    } catch (error) {
      say("lost");
      return;
    }
    plan();
  }

  function show(html, newEtag) {
    if (isPaused || tail.contains(document.activeElement)) {
      return; // never pull a row away from under the reader's keyboard
    }
    etag = newEtag || "";
    tail.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  }

  pause.addEventListener("click", function () {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    pause.textContent = isPaused ? pause.dataset.resume : pause.dataset.pause;
    say(isPaused ? "paused" : "live");
    plan();
  });
  document.addEventListener("visibilitychange", plan);
  pause.hidden = false;
  say("live");
  plan();
})();
