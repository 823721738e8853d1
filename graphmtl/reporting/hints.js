"use strict";
// What the page is drawn from, small helpers for SVG, and the hint: the data-hint of whatever is pointed at.
const data = JSON.parse(document.getElementById("data").textContent);

function svgElement(name, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

const hint = document.getElementById("hint");

function showHint(text, x, y) {
  hint.hidden = !text;
  if (!text) return;
  hint.textContent = text;
  hint.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - hint.offsetWidth - 8))}px`;
  hint.style.top = `${y + 18 + hint.offsetHeight > innerHeight ? y - hint.offsetHeight - 10 : y + 18}px`;
}

for (const name of ["pointermove", "pointerdown"]) {  // a finger does not move first
  document.addEventListener(name, (event) => {
    const element = event.target.closest?.("[data-hint]");
    showHint(element?.dataset.hint, event.clientX, event.clientY);
  });
}
function showFocused() {
  const element = document.querySelector("[data-hint]:focus-visible"), box = element?.getBoundingClientRect();
  showHint(element?.dataset.hint, box?.left, box?.bottom);
}

function hasFocus(element) {
  return element.matches(":focus-visible");
}

document.addEventListener("focusin", showFocused);
document.addEventListener("focusout", () => showHint(""));
document.addEventListener("scroll", showFocused, true);
document.addEventListener("keydown", (event) => event.key === "Escape" && showHint(""));
addEventListener("beforeprint", () => {
  const closed = document.querySelectorAll("details:not([open])");
  closed.forEach((each) => (each.open = true));
  addEventListener("afterprint", () => closed.forEach((each) => (each.open = false)), {once: true});
});
