// One run, or the comparison, at a time; without tabs all that there is.
function showTab(id) {
  for (const tab of document.querySelectorAll("main.tab")) tab.hidden = tab.id !== id;
  for (const button of document.querySelectorAll("[data-tab]")) {
    button.setAttribute("aria-selected", button.dataset.tab === id);
  }
}

for (const button of document.querySelectorAll("[data-tab]")) {
  button.addEventListener("click", () => showTab(button.dataset.tab));
}
if (document.querySelector("[data-tab]")) showTab("comparison");
