// What is above the control: tasks on a circle that can be dragged, edges whose width and opacity say how far above.
const WIDTH = 900, HEIGHT = 620, RADIAL = 16;

function drawGraph(figure, graph) {
  const svg = figure.querySelector("svg"), slider = figure.querySelector("input");
  const tasks = graph.nodes;
  const radial = tasks.length > RADIAL;  // then the names stand like spokes
  const narrow = !radial && window.innerWidth < 600;  // a telephone: as small as the names allow
  const radius = radial ? 300 : narrow ? 110 : Math.min(240, 130 + 10 * tasks.length);
  const longest = Math.max(...tasks.map((task) => textWidth(task.short, fontSize(radial))));
  const right = Math.max(narrow ? 0 : WIDTH / 2, radius + longest + 30);  // names are never cut off
  const bottom = radial ? right : narrow ? radius + 40 : HEIGHT / 2;
  svg.classList.toggle("narrow", narrow);
  svg.classList.toggle("radial", radial);
  svg.setAttribute("viewBox", `${-right} ${-bottom} ${2 * right} ${2 * bottom}`);
  const marker = svgElement("marker", {id: `head-${drawGraph.count = (drawGraph.count ?? 0) + 1}`, viewBox: "0 0 10 10",
    refX: 9, refY: 5, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto"}, svg);
  svgElement("path", {d: "M0 1 10 5 0 9z"}, marker);

  const weights = graph.edges.map((edge) => edge.weight);
  const [low, high] = weights.length ? [Math.min(...weights), Math.max(...weights)] : [0, 0];
  const number = (weight) => weight.toFixed(graph.decimals);

  const nodes = graph.nodes.map((node) => {
    const angle = 2 * Math.PI * tasks.indexOf(node) / tasks.length - Math.PI / 2;
    const home = [radius * Math.cos(angle), radius * Math.sin(angle)];
    return {...node, angle, home, size: radial ? 6 : 11, edges: []};
  });
  const lines = svgElement("g", {}, svg);
  const edges = [...graph.edges].sort((a, b) => a.weight - b.weight).map((edge) => {
    const source = nodes[edge.source], target = nodes[edge.target];
    const group = svgElement("g", {class: "edge"}, lines);
    const hit = svgElement("path", {class: "hit"}, group);
    const line = svgElement("path", {class: "line"}, group);
    if (graph.directed) line.setAttribute("marker-end", `url(#${marker.id})`);
    const ends = graph.directed ? `${target.name} ${graph.verb} ${source.name}` : `${source.name} and ${target.name}`;
    group.dataset.hint = `${ends}: ${number(edge.weight)} ${graph.unit}`.trimEnd() + `\n${edge.count} instances`;
    line.setAttribute("opacity", 0.35 + 0.6 * edge.place);
    line.setAttribute("stroke-width", 1 + (radial ? 2 : 3.7) * edge.place);
    const drawn = {...edge, source, target, group, hit, line};
    source.edges.push(drawn);
    target.edges.push(drawn);
    return drawn;
  });

  function placeEdge({source, target, hit, line}) {
    const [x, y] = [target.x - source.x, target.y - source.y];
    const bend = 0.16;  // to the right, so that an edge and its reverse lie apart
    const bow = [(source.x + target.x) / 2 - bend * y, (source.y + target.y) / 2 + bend * x];
    const trim = (node) => {
      const length = Math.hypot(node.x - bow[0], node.y - bow[1]) || 1;
      return [node.x - (node.x - bow[0]) * (node.size + 2) / length, node.y - (node.y - bow[1]) * (node.size + 2) / length];
    };
    const path = `M${trim(source)} Q${bow} ${trim(target)}`;
    hit.setAttribute("d", path);
    line.setAttribute("d", path);
  }

  function place(node, x, y) {
    Object.assign(node, {x, y});
    node.group.setAttribute("transform", `translate(${x} ${y})`);
    node.edges.forEach(placeEdge);
  }

  for (const node of nodes) {
    node.group = svgElement("g", {class: "node", tabindex: 0}, svg);
    svgElement("circle", {r: node.size}, node.group);
    label(node, radial);
    const sources = edges.filter((edge) => edge.target === node || (!graph.directed && edge.source === node)).reverse();
    const read = sources.slice(0, 5).map((edge) => {
      return `${edge.source === node ? edge.target.name : edge.source.name}  ${number(edge.weight)}`;
    });
    if (node.own !== null) read.push(`itself  ${number(node.own)}`);
    node.group.dataset.hint = [node.name + (read.length && graph.directed ? ` ${graph.verb}` : ""), ...read].join("\n");
    const light = (on) => edges.forEach((edge) => {
      const own = edge.target === node || (!graph.directed && edge.source === node);
      edge.line.classList.toggle("far", on && !own);
    });
    for (const event of ["pointerenter", "focus"]) node.group.addEventListener(event, () => light(true));
    for (const event of ["pointerleave", "blur"]) node.group.addEventListener(event, () => light(hasFocus(node.group)));
    letDrag(node);
  }

  function letDrag(node) {
    const clamp = (value, most) => Math.max(-most, Math.min(most, value));
    const move = (x, y) => place(node, clamp(x, right - node.size), clamp(y, bottom - node.size));
    const inPicture = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let grip = null;  // where in the node the pointer took hold of it
    node.group.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      node.group.focus({preventScroll: true});
      const {x, y} = inPicture(event);
      grip = [x - node.x, y - node.y];
      node.group.setPointerCapture(event.pointerId);
    });
    node.group.addEventListener("pointermove", (event) => {
      if (!grip) return;
      const {x, y} = inPicture(event);
      move(x - grip[0], y - grip[1]);
    });
    for (const event of ["pointerup", "pointercancel"]) node.group.addEventListener(event, () => (grip = null));
    node.group.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10]}[event.key];
      if (!step) return;
      event.preventDefault();
      move(node.x + step[0], node.y + step[1]);
      showFocused();
    });
  }

  function hideBelow() {
    const least = Number(slider.value) / 1000 * (high - low) + low;
    const shown = edges.filter((edge) => edge.weight >= least - 1e-12);
    for (const edge of edges) edge.group.style.display = shown.includes(edge) ? "" : "none";
    const said = `from ${number(least)}: ${shown.length} of ${edges.length} edges`;
    figure.querySelector("output").textContent = said;
    slider.setAttribute("aria-valuetext", said);
  }
  function reset() {
    for (const node of nodes) [node.x, node.y] = node.home;
    for (const node of nodes) place(node, ...node.home);
    Object.assign(slider, {min: 0, max: 1000, value: 0});
    hideBelow();
  }
  slider.addEventListener("input", hideBelow);
  figure.querySelector("button").addEventListener("click", reset);
  reset();
  svg.parentElement.scrollLeft = (svg.parentElement.scrollWidth - svg.parentElement.clientWidth) / 2;
}

function fontSize(radial) {
  return radial ? 13 : 14;
}

function textWidth(text, size) {
  textWidth.pen ??= document.createElement("canvas").getContext("2d");  // a hidden tab's own texts have no width
  textWidth.pen.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return textWidth.pen.measureText(text).width;
}

function label(node, radial) {
  const gap = node.size + 5, right = Math.cos(node.angle) > -1e-9, degrees = node.angle * 180 / Math.PI;
  const text = svgElement("text", {"font-size": fontSize(radial), "dominant-baseline": "central"}, node.group);
  text.textContent = node.short;
  if (radial) {
    text.setAttribute("text-anchor", right ? "start" : "end");
    text.setAttribute("transform", `rotate(${degrees + (right ? 0 : 180)}) translate(${right ? gap : -gap})`);
  } else {
    const across = Math.cos(node.angle), up = Math.sin(node.angle);
    const anchor = Math.abs(across) < 0.1 ? "middle" : across > 0 ? "start" : "end";
    for (const [key, value] of Object.entries({x: gap * across, y: (gap + 4) * up, "text-anchor": anchor})) {
      text.setAttribute(key, value);
    }
  }
}

document.querySelectorAll("figure.graph").forEach((figure, i) => drawGraph(figure, data.graphs[i]));
