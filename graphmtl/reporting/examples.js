// Texts coloured by what their words read, from half of the equal share to double. Weights have a row for each word, and a
// column for each source: the tasks, which stand below the text, or where words are read the words themselves.
function colour(elements, places) {
  elements.forEach((element, i) => {
    element.style.setProperty("--w", Math.abs(places[i] ?? 0));
    element.classList.toggle("minus", places[i] < 0);
  });
}

function drawExample(example, {weights, itself, alike}) {
  if (!weights.length) return;
  const words = [...example.querySelectorAll(".token")], buttons = [...example.querySelectorAll(".sources button")];
  const columns = buttons.length ? buttons : words;
  if (itself !== null) buttons[itself].classList.add("itself");  // what a task reads from itself is no share of the others
  const overEqual = (row) => {
    const others = row.filter((_, i) => i !== itself), mean = others.reduce((sum, x) => sum + x, 0) / others.length;
    return row.map((x, i) => i === itself || !mean ? null : Math.max(-1, Math.min(1, Math.log2(x / mean))));
  };
  const places = weights.map(overEqual);
  const means = overEqual(columns.map((_, i) => weights.reduce((sum, row) => sum + row[i], 0) / weights.length));
  const byColumn = (i) => {
    colour(words, places.map((row) => row[i]));
    buttons.forEach((button, k) => button.classList.toggle("chosen", k === i));
  };
  const rest = () => {
    if (buttons.length && !alike) byColumn(means.indexOf(Math.max(...means)));
    colour(columns, means);
  };
  rest();
  if (alike) return;  // every word read the same, which one strip shows
  words.forEach((word, t) => {
    const order = columns.map((_, i) => i).sort((a, b) => weights[t][b] - weights[t][a]).slice(0, 4);
    const read = order.map((i) => `${columns[i].firstChild.textContent}  ${weights[t][i].toFixed(3)}`);
    word.dataset.hint = [`${word.firstChild.textContent} read from`, ...read].join("\n");
    const own = () => {
      colour(columns, places[t]);
      word.classList.add("read");
    };
    const leave = () => {
      word.classList.remove("read");
      rest();
    };
    for (const [event, act] of [["pointerenter", own], ["focus", own], ["pointerleave", leave], ["blur", leave]]) {
      word.addEventListener(event, act);
    }
  });
  buttons.forEach((button, i) => {
    for (const event of ["pointerenter", "focus", "click"]) button.addEventListener(event, () => byColumn(i));
  });
}

document.querySelectorAll(".example").forEach((example, i) => drawExample(example, data.examples[i]));
