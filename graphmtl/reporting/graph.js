// The task graph: nodes on a circle that can be dragged, edges whose width and opacity say how strong they are.
const WIDTH = 900, HEIGHT = 620, RADIAL = 16, SHOWN_PER_TASK = 3;

function drawGraph(figure, graph) {
  const svg = figure.querySelector("svg"), slider = figure.querySelector("input");
  const tasks = graph.nodes.filter((node) => !node.hub);
  const radial = tasks.length > RADIAL;  // then the names stand like spokes
  const height = radial ? WIDTH : HEIGHT, radius = radial ? 300 : Math.min(240, 130 + 10 * tasks.length);
  svg.classList.toggle("radial", radial);
  svg.setAttribute("viewBox", `${-WIDTH / 2} ${-height / 2} ${WIDTH} ${height}`);
  const marker = svgElement("marker", {id: `head-${drawGraph.count = (drawGraph.count ?? 0) + 1}`, viewBox: "0 0 10 10",
    refX: 9, refY: 5, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto"}, svg);
  svgElement("path", {d: "M0 1 10 5 0 9z"}, marker);

  const weights = graph.edges.map((edge) => edge.weight);
  const low = Math.min(...weights), high = Math.max(...weights);
  const strength = (weight) => (high - low < 1e-6 ? 0.5 : (weight - low) / (high - low));
  const number = (weight) => weight.toFixed(graph.decimals);

  const nodes = graph.nodes.map((node) => {
    const angle = 2 * Math.PI * tasks.indexOf(node) / tasks.length - Math.PI / 2;
    const home = node.hub ? [0, 0] : [radius * Math.cos(angle), radius * Math.sin(angle)];
    return {...node, angle, home, size: node.hub ? 30 : radial ? 6 : 11, edges: []};
  });
  const lines = svgElement("g", {}, svg);
  const edges = [...graph.edges].sort((a, b) => a.weight - b.weight).map((edge) => {
    const source = nodes[edge.source], target = nodes[edge.target], share = strength(edge.weight);
    const group = svgElement("g", {class: "edge"}, lines);
    const hit = svgElement("path", {class: "hit"}, group);
    const line = svgElement("path", {class: "line", opacity: 0.2 + 0.75 * share,
      "stroke-width": 0.7 + (radial ? 2.3 : 4) * share}, group);
    if (graph.directed) line.setAttribute("marker-end", `url(#${marker.id})`);
    const ends = graph.directed ? `${target.name} reads from ${source.name}` : `${source.name} and ${target.name}`;
    const spread = edge.std > 0 ? ` ± ${number(edge.std)}` : "";
    group.dataset.hint = `${ends}: ${number(edge.weight)}${spread}\n${edge.count} instances`;
    const drawn = {...edge, source, target, group, hit, line};
    source.edges.push(drawn);
    target.edges.push(drawn);
    return drawn;
  });

  function placeEdge({source, target, hit, line}) {
    const [x, y] = [target.x - source.x, target.y - source.y];
    const bend = source.hub || target.hub ? 0 : 0.16;  // to the right, so that an edge and its reverse lie apart
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
    node.group = svgElement("g", {class: node.hub ? "node hub" : "node", tabindex: 0}, svg);
    svgElement("circle", {r: node.size}, node.group);
    label(node, radial);
    const sources = edges.filter((edge) => edge.target === node || (!graph.directed && edge.source === node)).reverse();
    const read = sources.slice(0, 5).map((edge) => {
      return `${edge.source === node ? edge.target.name : edge.source.name}  ${number(edge.weight)}`;
    });
    node.group.dataset.hint = [node.name + (read.length && graph.directed ? " reads from" : ""), ...read].join("\n");
    const light = (on) => edges.forEach((edge) => {
      const own = edge.target === node || ((!graph.directed || node.hub) && edge.source === node);
      edge.line.classList.toggle("far", on && !own);
    });
    node.group.addEventListener("pointerenter", () => light(true));
    node.group.addEventListener("pointerleave", () => light(false));
    node.group.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      node.group.setPointerCapture(event.pointerId);
    });
    node.group.addEventListener("pointermove", (event) => {
      if (!node.group.hasPointerCapture(event.pointerId)) return;
      const {x, y} = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      place(node, x, y);
    });
  }
  const putBack = () => {
    for (const node of nodes) [node.x, node.y] = node.home;
    for (const node of nodes) place(node, ...node.home);
  };
  putBack();
  figure.querySelector("button").addEventListener("click", putBack);

  function hideBelow() {
    const least = Number(slider.value) / 1000 * (high - low) + low;
    let shown = 0;
    for (const edge of edges) {
      const hidden = edge.weight < least - 1e-12;
      edge.group.style.display = hidden ? "none" : "";
      shown += hidden ? 0 : 1;
    }
    figure.querySelector("output").textContent = `${number(least)}: ${shown} of ${edges.length} edges shown`;
  }
  // Of many edges only as many as three into each task are shown at first.
  const limit = graph.nodes.some((node) => node.hub) ? Infinity : Math.max(20, SHOWN_PER_TASK * tasks.length);
  const least = edges.length > limit ? edges[edges.length - limit].weight : low;
  Object.assign(slider, {min: 0, max: 1000, value: Math.floor(1000 * (least - low) / (high - low || 1))});
  slider.addEventListener("input", hideBelow);
  hideBelow();
}

function label(node, radial) {
  const gap = node.size + 5, right = Math.cos(node.angle) > -1e-9, degrees = node.angle * 180 / Math.PI;
  const text = svgElement("text", {"font-size": radial ? 13 : 14, "dominant-baseline": "central"}, node.group);
  text.textContent = node.short;
  if (node.hub) text.setAttribute("text-anchor", "middle");
  else if (radial) {
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
