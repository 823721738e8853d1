// Texts coloured by what their words read. Weights have a row for each word, and a column for each source: the tasks,
// which stand below the text, or where words are read the words themselves.
function colour(elements, weights, least, most) {
  elements.forEach((element, i) => element.style.setProperty("--w", (weights[i] - least) / (most - least || 1)));
}

function drawExample(example, weights) {
  if (!weights.length) return;
  const words = [...example.querySelectorAll(".token")], buttons = [...example.querySelectorAll(".sources button")];
  const columns = buttons.length ? buttons : words;
  const range = (values) => [Math.min(...values), Math.max(...values)];
  const all = range(weights.flat());
  const means = columns.map((_, i) => weights.reduce((sum, row) => sum + row[i], 0) / weights.length);
  const byColumn = (i) => {
    colour(words, weights.map((row) => row[i]), ...all);
    buttons.forEach((button, k) => button.classList.toggle("chosen", k === i));
  };
  const rest = buttons.length
    ? () => { byColumn(means.indexOf(Math.max(...means))); colour(buttons, means, ...all); }
    : () => colour(words, means, ...range(means));

  words.forEach((word, t) => {
    const order = columns.map((_, i) => i).sort((a, b) => weights[t][b] - weights[t][a]).slice(0, 4);
    const read = order.map((i) => `${columns[i].firstChild.textContent}  ${weights[t][i].toFixed(3)}`);
    word.dataset.hint = [`${word.firstChild.textContent} read from`, ...read].join("\n");
    const own = () => {
      colour(columns, weights[t], ...range(weights[t]));
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
  rest();
}

document.querySelectorAll(".example").forEach((example, i) => drawExample(example, data.examples[i]));
