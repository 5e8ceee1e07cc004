// What makes the console smoother; every page works without it.
"use strict";

// A one-time link carries its code after `#`, which browsers send to no server.
const codeForm = document.querySelector("[data-code-form]");
const takeCode = () => {
  if (location.hash.length < 2) return;
  codeForm.elements.code.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname + location.search);
  codeForm.requestSubmit();
};
if (codeForm) {
  takeCode();
  window.addEventListener("hashchange", takeCode); // the page was open already
}

// Say when the session is about to end.
const ends = document.querySelector("[data-ends]");
if (ends) {
  const until = performance.now() + (Number(ends.dataset.ends) - Number(ends.dataset.now)) * 1000;
  const text = ends.querySelector("small");
  const tell = () => {
    const seconds = Math.max(0, Math.ceil((until - performance.now()) / 1000));
    const soon = seconds <= 120;
    const left = seconds > 60 ? `in ${Math.ceil(seconds / 60)} minutes` : `in ${seconds} seconds`;
    const said = seconds ? `Session ends ${left}` : "Session has ended";
    if (text.textContent !== said) text.textContent = said;
    ends.classList.toggle("soon", soon);
    if (seconds) setTimeout(tell, seconds > 60 ? 1000 * ((seconds - 1) % 60 + 1) : 1000);
  };
  tell();
}

// Copy buttons, where the browser lets a page copy.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    const label = button.querySelector("span");
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      label.textContent = "Copied";
      setTimeout(() => { label.textContent = "Copy"; }, 2000);
    });
  }
}

// A form that waits for a name to be typed is sent only with that name.
for (const form of document.querySelectorAll("[data-expects]")) {
  const typed = form.querySelector("[data-typed]");
  const button = form.querySelector("button[type=submit]");
  const compare = () => { button.disabled = typed.value !== form.dataset.expects; };
  typed.addEventListener("input", compare);
  compare();
}

// Forms are sent once.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    for (const button of form.querySelectorAll("button[type=submit]")) {
      setTimeout(() => { button.disabled = true; }, 0);
    }
  });
}

// On a narrow screen the section that is shown is in sight.
document.querySelector(".sections [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
