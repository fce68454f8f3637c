// How a reader moves in a chart: drag, buttons and keys change the stretch of time, every point can be read, and what is
// shown can be taken away as a picture or a link. It draws nothing itself: chart.js does, when the stretch changes.
//
//   data-chart-explore              on a chart: it can be read point by point and takes keys
//   data-chart-readout="id"         where a point of chart id is told; data-chart-legend="id" its checkboxes (value: line or layer)
//   <a data-chart-move="earlier" data-chart-for="id">   or later, closer, wider
//   data-chart-keep                 a form beside charts: takes along whatever else the address says by then
//   data-chart-form                 a form with from and to; data-chart-here on a link and the copy button beside it
//   <button data-chart-png="id">    the picture, with the title of data-title
//   <a data-chart-bands="Third">    other bands for the charts whose data-query has bands
//   data-chart-at                   on a chart that shows one instant: the one that was read last, ?at= in the address
(() => {
  "use strict";
  const MINUTE = 60_000;
  const [CLOSEST, LONGEST] = [10 * MINUTE, 732 * 1440 * MINUTE];
  const { charts, show, load, draw, addressWith, CONFIG } = window.CirrusChart;
  const places = new Map();
  let waiting;

  // The page's address with one part of it changed; undefined takes it away.
  function addressOf(name, value) {
    const address = new URL(location.href);
    if (value === undefined) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
    return address.href.replaceAll("%3A", ":");
  }

  const named = (name, id) => document.querySelector(`[data-chart-${name}="${CSS.escape(id)}"]`);

  // --- Moving

  function bounds(element) {
    const { data, asked } = charts.get(element);
    return asked ?? (data && { start: data.start, end: data.end });
  }

  function moved(bounds, how) {
    const span = bounds.end - bounds.start;
    const middle = (bounds.start + bounds.end) / 2;
    const limit = Math.max(Date.now(), bounds.end);
    const steps = { earlier: [-span / 2, span], later: [span / 2, span], closer: [0, span / 2], wider: [0, span * 2] };
    const [by, wished] = steps[how];
    const length = Math.min(Math.max(wished, CLOSEST), LONGEST);
    const end = Math.min(middle + by + length / 2, limit);
    return { start: end - length, end };
  }

  function go(element, { start, end }) {
    const span = Math.min(Math.max(end - start, CLOSEST), LONGEST);
    const middle = (start + end) / 2;
    const wanted = span === end - start ? { start, end } : { start: middle - span / 2, end: middle + span / 2 };
    // Keys come faster than answers: each goes on from where the one before wanted to be.
    charts.get(element).asked = wanted;
    clearTimeout(waiting);
    waiting = setTimeout(() => show(CirrusTime.fixed(wanted.start, wanted.end)), 150);
  }

  function leader() {
    return [...charts.keys()].find((element) => element.dataset.window !== undefined);
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-chart-move]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const element = document.getElementById(link.dataset.chartFor) ?? leader();
    const from = element && bounds(element);
    if (!from) return;
    event.preventDefault();
    go(element, moved(from, link.dataset.chartMove));
  });

  document.addEventListener("chart:window", ({ detail: { query } }) => {
    clearTimeout(waiting);
    // A range, or the way back: what was wanted before is wanted no more.
    for (const chart of charts.values()) {
      if (chart.asked && CirrusTime.fixed(chart.asked.start, chart.asked.end) !== query) chart.asked = undefined;
    }
  });

  // --- Reading a point

  function tell(element, words) {
    const place = named("readout", element.id);
    if (place) place.textContent = words;
  }

  const timeOf = (trace, index) => (trace.x ? trace.x[index] : trace.x0 + index * trace.dx);
  const lengthOf = (data) => data.traces[0].dx ?? data.bucket * 1000;

  // The point of a line that holds an instant: each has its own times, for a week is laid over another.
  function placeIn(trace, at, length) {
    return trace.x ? trace.x.findIndex((x) => x <= at && at < x + length) : Math.round((at - trace.x0) / trace.dx);
  }

  // What is drawn of an instant: where there is a value, and whether the reader has taken the line away.
  function pointsAt(element, at) {
    const { data } = charts.get(element);
    const drawn = element.querySelector(".chart-plot").data;
    return data.traces
      .map((trace, curve) => ({ trace, curve, place: trace.y ? placeIn(trace, at, lengthOf(data)) : -1 }))
      .filter(({ trace, curve }) => trace.y && drawn[curve].visible === true);
  }

  // Between what the measurements of that instant's bucket lie; what has no width has nothing to tell beside its line.
  function extremesAt(element, at) {
    const { data } = charts.get(element);
    const drawn = element.querySelector(".chart-plot").data;
    return data.traces.flatMap((trace, curve) => {
      if (trace.kind !== "band" || drawn[curve].visible !== true) return [];
      const [lower, upper] = [trace.lower, trace.upper].map((values) => values[placeIn(trace, at, lengthOf(data))]);
      if (lower == null || upper == null || lower === upper) return [];
      const [from, to] = [lower, upper].map((value) => CirrusTime.written(value, trace.places));
      return [`${trace.name} ${from} – ${to} ${data.unit}`];
    });
  }

  function wordsAt(element, index) {
    const { data, offset } = charts.get(element);
    const [start, length] = [timeOf(data.traces[0], index), lengthOf(data)];
    const told = pointsAt(element, start).map(({ trace, place }) => {
      const value = trace.y[place] == null ? CirrusTime.say("none") : `${CirrusTime.written(trace.y[place], trace.places)} ${trace.unit}`;
      const part = trace.covered?.[place];
      return `${trace.name} ${value}${part === undefined ? "" : ` (${CirrusTime.say("covered", CirrusTime.share(part))})`}`;
    });
    told.push(...extremesAt(element, start));
    if (data.covered) told.push(CirrusTime.say("covered", CirrusTime.share(data.covered[index])));
    for (const mark of data.marks ?? []) {
      if (mark.at < start + length && (mark.until ?? mark.at) >= start) told.push(mark.label);
    }
    return `${CirrusTime.interval(start, length, offset.shift)} (${offset.name}): ${told.join(", ")}.`;
  }

  function read(element, index) {
    const { data } = charts.get(element);
    const line = data?.traces[0];
    if (!line?.y?.length) return;
    const last = line.y.length - 1;
    const place = Math.min(Math.max(index, 0), last);
    places.set(element, place);
    tell(element, wordsAt(element, place));
    const plot = element.querySelector(".chart-plot");
    const points = pointsAt(element, timeOf(line, place)).filter((point) => point.trace.y[point.place] != null);
    if (points.length) Plotly.Fx.hover(plot, points.map((point) => ({ curveNumber: point.curve, pointNumber: point.place })), ["xy"]);
    else Plotly.Fx.unhover(plot);
  }

  function instantOf(element) {
    const line = charts.get(element).data.traces[0];
    return timeOf(line, places.get(element) ?? line.y.length - 1);
  }

  // --- The instant that the spectrum is of

  function pick(at, { push = true } = {}) {
    if (!document.querySelector("[data-chart-at]")) return;
    const text = at === undefined ? "" : CirrusTime.address(at);
    if (push) history.pushState(null, "", addressOf("at", text));
    for (const element of document.querySelectorAll("[data-chart-at]")) {
      ask(element, "at", text);
      // On a phone it is folded: what was asked for is not to be looked for.
      if (push) element.closest("details.fold")?.setAttribute("open", "");
    }
    follow();
  }

  // Another part of a chart's address, and of its table's and its file's.
  function ask(element, name, value) {
    const query = new URLSearchParams(element.dataset.query);
    if ((query.get(name) ?? "") === value) return;
    const links = [...(element.nextElementSibling?.querySelectorAll("a[data-chart-link]") ?? [])];
    const addresses = links.map((link) => new URL(link.href));
    for (const part of [query, ...addresses.map((address) => address.searchParams)]) {
      if (value) part.set(name, value);
      else part.delete(name);
    }
    element.dataset.query = query.toString();
    links.forEach((link, place) => (link.href = addresses[place].href));
    load(element);
  }

  addEventListener("popstate", () => {
    const at = new URLSearchParams(location.search).get("at");
    pick(at ? Date.parse(at) : undefined, { push: false });
  });

  function onKey(event) {
    const element = event.currentTarget;
    if (event.target !== element || event.ctrlKey || event.metaKey || event.altKey) return;
    const { data } = charts.get(element);
    const line = data?.traces[0];
    if (!line?.y) return;
    const now = places.get(element) ?? line.y.length;
    const step = event.shiftKey ? 10 : 1;
    const acts = {
      ArrowLeft: () => read(element, now - step),
      ArrowRight: () => read(element, now + step),
      Home: () => read(element, 0),
      End: () => read(element, line.y.length - 1),
      PageUp: () => go(element, moved(bounds(element), "earlier")),
      PageDown: () => go(element, moved(bounds(element), "later")),
      "+": () => go(element, around(element)),
      "=": () => go(element, around(element)),
      "-": () => go(element, moved(bounds(element), "wider")),
      0: () => show(charts.get(element).first),
      Enter: () => pick(instantOf(element)),
    };
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  // Closer around the point that is being read, which stays where it is; around the middle where none is.
  function around(element) {
    const { start, end } = bounds(element);
    const place = places.has(element) ? instantOf(element) : (start + end) / 2;
    const within = Math.min(Math.max(place, start), end);
    return { start: within - (within - start) / 2, end: within + (end - within) / 2 };
  }

  // --- Every drawing

  function onPlot(element, plot) {
    const instant = (text) => CirrusTime.instant(text, charts.get(element).offset.shift);
    plot.on("plotly_relayout", (change) => {
      const [start, end] = change["xaxis.range"] ?? [change["xaxis.range[0]"], change["xaxis.range[1]"]];
      if (start === undefined || end === undefined) return;
      go(element, { start: instant(start), end: instant(end) });
    });
    plot.on("plotly_doubleclick", () => show(charts.get(element).first));
    plot.on("plotly_click", ({ points }) => {
      const { data } = charts.get(element);
      const at = instant(points[0].x);
      if (element.dataset.chartExplore !== undefined) read(element, Math.round((at - timeOf(data.traces[0], 0)) / lengthOf(data)));
      pick(at);
    });
  }

  document.addEventListener("chart:drawn", (event) => {
    const element = event.target;
    const { plot, data, offset } = event.detail;
    const chart = charts.get(element);
    if (element.dataset.chartAt !== undefined && data.at != null) {
      const field = element.closest("section")?.querySelector("input[name=at]");
      // To the second; what somebody is just writing stays.
      if (field && field !== document.activeElement) field.value = CirrusTime.local(data.at, data.zone, 19);
    }
    if (element.dataset.window === undefined) return;
    chart.first ??= element.dataset.window;
    // To the second, as an address has it.
    if (chart.asked && Math.abs(chart.asked.end - data.end) < 1000 && Math.abs(chart.asked.start - data.start) < 1000) chart.asked = undefined;
    if (!chart.moves) {
      chart.moves = true;
      onPlot(element, plot);
      if (element.dataset.chartExplore !== undefined) {
        element.tabIndex = 0;
        element.addEventListener("keydown", onKey);
      }
    }
    places.delete(element);
    if (element === leader()) follow();
    const legend = named("legend", element.id);
    for (const input of legend?.querySelectorAll("input[data-recorded]") ?? []) {
      input.disabled = !data.traces.some((trace) => trace.id === input.value);
    }
  });

  // What says which stretch is shown, and leads to it.
  function follow() {
    const data = charts.get(leader())?.data;
    if (!data) return;
    const here = addressWith(location.href, CirrusTime.fixed(data.start, data.end));
    for (const place of document.querySelectorAll("[data-chart-here]")) {
      // A card's own link leads to the card.
      if (place.href) place.href = here.split("#")[0] + new URL(place.href).hash;
      else place.dataset.copy = here.split("#")[0] + (place.dataset.chartHere && `#${place.dataset.chartHere}`);
    }
    for (const link of document.querySelectorAll("a[data-chart-move]")) {
      const { start, end } = moved(data, link.dataset.chartMove);
      link.href = addressWith(location.href, CirrusTime.fixed(start, end));
    }
    for (const link of document.querySelectorAll("a[data-chart-range]")) link.href = addressWith(location.href, `range=${link.dataset.chartRange}`);
    for (const link of document.querySelectorAll("a[data-chart-bands]")) link.href = addressOf("bands", link.dataset.chartBands);
    for (const form of document.querySelectorAll("[data-chart-form]")) {
      if (form.contains(document.activeElement)) continue;
      form.elements.from.value = CirrusTime.local(data.start, data.zone);
      form.elements.to.value = CirrusTime.local(data.end, data.zone);
    }
  }

  document.addEventListener("submit", ({ target: form }) => {
    if (form.dataset.chartKeep === undefined) return;
    for (const input of form.querySelectorAll("input[type=hidden]")) input.remove();
    const own = new Set([...form.elements].map((field) => field.name));
    // A stretch of one's own takes the place of a range.
    if (own.has("from")) own.add("range");
    for (const [name, value] of new URLSearchParams(location.search)) {
      if (own.has(name)) continue;
      form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
    }
  });

  // --- Lines and layers

  document.addEventListener("change", (event) => {
    const legend = event.target.closest("[data-chart-legend]");
    const element = legend && document.getElementById(legend.dataset.chartLegend);
    if (!element || !charts.has(element)) return;
    const inputs = [...legend.querySelectorAll("input")];
    const asBefore = inputs.every((input) => input.checked === input.defaultChecked) && !new URLSearchParams(location.search).has("lines");
    const lines = inputs.filter((input) => input.checked).map((input) => input.value);
    history.replaceState(null, "", addressOf("lines", asBefore ? undefined : lines.join(" ")));
    draw(element);
  });

  // --- Bands: octaves or third octaves for all charts of spectra

  function chooseBands(bands, { push = true } = {}) {
    if (push) history.pushState(null, "", addressOf("bands", bands));
    for (const link of document.querySelectorAll("[data-chart-bands]")) {
      if (link.dataset.chartBands === bands) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    for (const element of charts.keys()) {
      if (new URLSearchParams(element.dataset.query).has("bands")) ask(element, "bands", bands);
    }
    follow();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-chart-bands]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    if (link.getAttribute("aria-current") !== "true") chooseBands(link.dataset.chartBands);
  });

  const firstBands = document.querySelector("[data-chart-bands][aria-current]")?.dataset.chartBands;
  addEventListener("popstate", () => {
    if (firstBands) chooseBands(new URLSearchParams(location.search).get("bands") ?? firstBands, { push: false });
  });

  // --- Taking it away

  async function picture(button) {
    const element = document.getElementById(button.dataset.chartPng);
    const chart = charts.get(element);
    if (!chart?.data) return;
    const plot = element.querySelector(".chart-plot");
    const colours = CirrusFigure.palette();
    const { start, end, zone, summary } = chart.data;
    // What is of an instant says in its summary of which.
    const told = start ? `${CirrusTime.interval(start, end - start, chart.offset.shift)}, ${zone} (${chart.offset.name})` : CirrusFigure.plain(summary);
    const title = CirrusFigure.plain(element.dataset.title ?? element.dataset.label);
    // A title of its own for the time: Plotly styles small print inside a text, and the page's policy refuses that.
    const subtitle = { text: told, font: { size: 13, color: colours["chart-axis"] } };
    const layout = {
      ...plot.layout,
      title: { text: title, subtitle, x: 0.02, font: { size: 18, color: colours.ink } },
      margin: { ...plot.layout.margin, t: 96, l: 64, b: 70 },
      paper_bgcolor: colours.surface,
      plot_bgcolor: colours.surface,
      showlegend: true,
    };
    const url = await Plotly.toImage({ data: plot.data, layout, config: CONFIG }, { format: "png", width: 1200, height: 640, scale: 2 });
    const link = document.createElement("a");
    link.href = url;
    link.download = `${element.dataset.file ?? element.id}.png`;
    link.click();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-chart-png]");
    if (button) picture(button);
  });
})();
