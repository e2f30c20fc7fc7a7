/* Turns the list of an object's moments into a slider, and shows each moment without leaving the page.
   Without this script the list and its button do the same. */
"use strict";

(() => {
  const form = document.querySelector("[data-bemi-slider]");
  if (!form) return;
  const list = form.querySelector("select");
  const slider = Object.assign(document.createElement("input"), {
    type: "range", min: 0, max: list.length - 1, step: 1, value: list.selectedIndex,
  });
  const told = document.createElement("output");
  let latest = 0;

  const name = () => list.options[list.selectedIndex].text;

  const tell = () => {
    list.selectedIndex = Number(slider.value);
    told.textContent = name();
    slider.setAttribute("aria-valuetext", name());
  };

  const show = async () => {
    const address = `?${new URLSearchParams({ at: list.value })}`;
    const number = ++latest;
    let response;
    try {
      response = await fetch(address, { credentials: "same-origin" });
    } catch {
      form.submit();
      return;
    }
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const past = page.querySelector("[data-bemi-past]");
    if (!past) {
      form.submit(); // such as a login page
    } else if (number === latest) {
      document.querySelector("[data-bemi-past]").replaceWith(past);
      document.querySelector("#bemi-at").value = page.querySelector("#bemi-at").value;
      history.replaceState(null, "", address);
    }
  };

  form.querySelector("label").htmlFor = slider.id = "bemi-slider";
  list.hidden = true;
  form.querySelector("button").hidden = true;
  told.setAttribute("for", slider.id);
  list.before(slider, told);
  slider.addEventListener("input", tell);
  slider.addEventListener("change", show);
  tell();
})();
