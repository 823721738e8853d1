// One run, or the comparison, at a time; without tabs all that there is.
const tabs = [...document.querySelectorAll("[data-tab]")];

function showTab(id) {
  for (const page of document.querySelectorAll("main.tab")) page.hidden = page.id !== id;
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", tab.dataset.tab === id);
    tab.tabIndex = tab.dataset.tab === id ? 0 : -1;
  }
}

tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => showTab(tab.dataset.tab));
  tab.addEventListener("keydown", (event) => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    const next = step && tabs.at((i + step) % tabs.length);
    next?.focus();
    next?.click();
  });
});
if (tabs.length) showTab("comparison");
