// Lines over a common x axis: point at a name or a line to see it, at a point to read it.
function drawChart(figure, chart) {
  const svg = figure.querySelector("svg"), names = figure.querySelector(".names");
  const [left, right, top, bottom] = [46, 410, 10, 215];
  const points = chart.series.flatMap((series) => series.points);
  if (!points.length) return;
  const [xs, ys] = [0, 1].map((i) => points.map((point) => point[i]));
  const scale = (values, from, to) => {
    const low = Math.min(...values), range = Math.max(...values) - low;
    return (value) => (range ? from + (to - from) * (value - low) / range : (from + to) / 2);
  };
  const x = scale(xs, left + 8, right), y = scale(ys, bottom - 6, top);
  const text = (content, attributes) => (svgElement("text", attributes, svg).textContent = content);

  svgElement("path", {class: "axis", fill: "none", d: `M${left} ${top}V${bottom}H${right}`}, svg);
  for (const value of ticks(Math.min(...ys), Math.max(...ys), 5)) {
    svgElement("path", {class: "axis", d: `M${left} ${y(value)}H${right}`, opacity: 0.6}, svg);
    text(String(value), {x: left - 6, y: y(value) + 4, "text-anchor": "end"});
  }
  for (const value of ticks(Math.min(...xs), Math.max(...xs), 8).filter(Number.isInteger)) {
    text(String(value), {x: x(value), y: bottom + 15, "text-anchor": "middle"});
  }
  text(chart.x, {x: (left + right) / 2, y: bottom + 31, "text-anchor": "middle"});

  const many = chart.series.length > 6;
  chart.series.forEach((series, i) => {
    const colour = `--colour:var(${series.strong ? "--ink" : many ? "--faint" : `--s${i}`})`;
    const kind = `series${many ? " many" : ""}${series.strong ? " strong" : ""}`;
    const group = svgElement("g", {class: kind, style: colour}, svg);
    svgElement("polyline", {points: series.points.map(([a, b]) => `${x(a)},${y(b)}`).join(" ")}, group);
    for (const [a, b] of series.points) {
      const point = svgElement("circle", {cx: x(a), cy: y(b), r: 4}, group);
      point.dataset.hint = `${series.name}\n${chart.x} ${a}: ${b.toFixed(4)}`;
    }
    const name = document.createElement("span");
    name.textContent = series.name;
    name.className = kind;
    name.style = colour;
    names.append(name);
    for (const element of [name, group]) {
      element.addEventListener("pointerenter", () => group.classList.add("lit"));
      element.addEventListener("pointerleave", () => group.classList.remove("lit"));
    }
  });
}

function ticks(low, high, most) {
  const rough = (high - low) / most || 1, unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * unit).find((size) => size >= rough);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9; i++) found.push(Number((i * step).toPrecision(10)));
  return found;
}

document.querySelectorAll("figure.chart").forEach((figure, i) => drawChart(figure, data.charts[i]));
