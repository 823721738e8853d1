// Lines over a common x axis, and the epoch that was kept. Charts that stand side by side share their key: a name lights its line in all of them.
function drawChart(figure, chart, colourOf, light) {
  const svg = figure.querySelector("svg"), small = figure.classList.contains("small");
  const [width, height, ...frame] = small ? [160, 100, 26, 156, 6, 80] : [420, 250, 46, 410, 10, 215];
  const [left, right, top, bottom] = frame;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const points = chart.series.flatMap((series) => series.points);
  if (!points.length) return;
  const xs = points.map((point) => point[0]), ys = [...points.map((point) => point[1]), ...(chart.range ?? [])];
  const scale = (values, from, to) => {
    const low = Math.min(...values), high = Math.max(...values);
    return (value) => (isFlat(low, high) ? (from + to) / 2 : from + (to - from) * (value - low) / (high - low));
  };
  const x = scale(xs, left + (small ? 3 : 8), right), y = scale(ys, bottom - (small ? 3 : 6), top);
  const text = (content, attributes) => (svgElement("text", attributes, svg).textContent = content);

  svgElement("path", {class: "axis", fill: "none", d: `M${left} ${top}V${bottom}H${right}`}, svg);
  for (const value of ticks(Math.min(...ys), Math.max(...ys), small ? 3 : 5)) {
    svgElement("path", {class: "axis", d: `M${left} ${y(value)}H${right}`, opacity: 0.6}, svg);
    text(String(value), {x: left - 6, y: y(value) + 4, "text-anchor": "end"});
  }
  for (const value of ticks(Math.min(...xs), Math.max(...xs), small ? 3 : 8).filter(Number.isInteger)) {
    text(String(value), {x: x(value), y: bottom + 15, "text-anchor": "middle"});
  }
  if (!small) text(chart.x, {x: (left + right) / 2, y: bottom + 31, "text-anchor": "middle"});
  if (chart.kept >= Math.min(...xs) && chart.kept <= Math.max(...xs)) {
    const kept = svgElement("path", {class: "kept", d: `M${x(chart.kept)} ${top}V${bottom}`}, svg);
    kept.dataset.hint = `kept: ${chart.x} ${chart.kept}`;
  }

  for (const series of chart.series) {
    const kind = ["series", series.strong && "strong", series.points.length === 1 && "lone"].filter(Boolean).join(" ");
    const group = svgElement("g", {class: kind, style: `--colour:${colourOf(series.name)}`, "data-name": series.name}, svg);
    svgElement("polyline", {points: series.points.map(([a, b]) => `${x(a)},${y(b)}`).join(" ")}, group);
    for (const [a, b] of series.points) {
      const point = svgElement("circle", {cx: x(a), cy: y(b), r: small ? 3 : 4}, group);
      point.dataset.hint = `${series.name}\n${chart.x} ${a}: ${b.toFixed(4)}`;
    }
    group.addEventListener("pointerenter", () => light(series.name, true));
    group.addEventListener("pointerleave", () => light(series.name, false));
  }
}

function isFlat(low, high) {
  return high - low <= 1e-9 * Math.max(1, Math.abs(low));  // but for rounding
}

function ticks(low, high, most) {
  if (isFlat(low, high)) return [Number(low.toPrecision(4))];
  const rough = (high - low) / most, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * unit).find((size) => size >= rough);
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, i) => Number(((first + i) * step).toPrecision(10)));
}

function drawCharts(group, charts) {
  const series = charts.flatMap((chart) => chart.series);
  const names = [...new Set(series.map((one) => one.name))];
  const strong = new Set(series.filter((one) => one.strong).map((one) => one.name));
  const many = names.length - strong.size > 6;  // then a name is found by pointing at it, not by its colour
  const colourOf = (name) => `var(${strong.has(name) ? "--ink" : many ? "--faint" : `--s${names.indexOf(name)}`})`;
  const light = (name, on) => {
    for (const line of group.querySelectorAll("g.series")) line.classList.toggle("lit", on && line.dataset.name === name);
  };
  group.querySelectorAll("figure.chart").forEach((figure, i) => drawChart(figure, charts[i], colourOf, light));
  if (!group.querySelector(".names")) return;  // each chart has its own title
  for (const name of names) {
    const entry = document.createElement("span");
    entry.textContent = name;
    entry.tabIndex = 0;
    entry.style.setProperty("--colour", colourOf(name));
    for (const event of ["pointerenter", "focus"]) entry.addEventListener(event, () => light(name, true));
    for (const event of ["pointerleave", "blur"]) entry.addEventListener(event, () => light(name, hasFocus(entry)));
    group.querySelector(".names").append(entry);
  }
  group.querySelector("details").open = names.length <= 20;
}

const charts = data.charts[Symbol.iterator]();
for (const group of document.querySelectorAll(".charts")) {
  drawCharts(group, [...group.querySelectorAll("figure.chart")].map(() => charts.next().value));
}
