// What a chart's JSON looks like in Plotly's words and the page's colours. It fetches nothing and keeps nothing.
(() => {
  "use strict";
  const [SECOND, MINUTE, DAY, MONTH] = [1000, 60_000, 86_400_000, "M1"];
  // Below so many pixels a chart has less room for words.
  const NARROW = 560;
  const { dayMonth, dayMonthYear } = CirrusTime.locale.format;
  const TICKS = [
    { dtickrange: [null, SECOND - 1], value: `%H:%M:%S.%3f\n${dayMonthYear}` },
    { dtickrange: [SECOND, MINUTE - 1], value: `%H:%M:%S\n${dayMonthYear}` },
    { dtickrange: [MINUTE, DAY - 1], value: `%H:%M\n%a ${dayMonth}` },
    { dtickrange: [DAY, MONTH], value: `${dayMonth}\n%Y` },
    { dtickrange: [MONTH, null], value: "%b\n%Y" },
  ];
  // A negative thickness is how Plotly is asked for a thin line without its white outline.
  const SPIKE = { spikemode: "across", spikethickness: -2, spikedash: "dot" };
  // Each layer has a sign of its own, so that colour is never the only one: lane from below, symbol, colour.
  const LAYERS = {
    events: { lane: 0, symbol: "triangle-up", series: 2 },
    sics: { lane: 1, symbol: "circle", series: 1 },
    calibrations: { lane: 2, symbol: "diamond", series: 4 },
    actions: { lane: 3, symbol: "square", series: 5 },
    moves: { lane: 4, symbol: "star", series: 3 },
    checks: { lane: 0, symbol: "diamond", series: 4 },
  };
  // Whole stretches rather than instants.
  const STRETCHES = { suspect: "warn", reviewed: "ink-2", exclusions: "ink-2", event: "ink-2" };
  // Those of which there are few enough to be named where they are.
  const NAMED = new Set(["suspect", "reviewed", "event", "checks"]);
  // What changes what the levels mean has a line from top to bottom.
  const LINED = new Set(["calibrations", "moves"]);
  const MOST_LINES = 40;
  // Of the lines of a chart that names none, in their order: colour is never the only sign. The second is whole, too:
  // dashes of a restless line fall apart into what looks like gaps.
  const DASHES = ["solid", "thin", "dot", "dashdot", "longdash"];
  // From quiet to loud; it reads in black and white, too.
  const SCALE = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];

  // Colours come from the style sheet; a probe resolves light-dark() to what is on the screen.
  function palette() {
    const probe = document.body.appendChild(document.createElement("i"));
    const colour = (name) => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    const names = ["ink", "ink-2", "surface", "raised", "line", "chart-grid", "chart-axis", "warn", "bad"];
    const colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
    colours.series = [1, 2, 3, 4, 5].map((n) => colour(`series-${n}`));
    colours.font = getComputedStyle(document.body).fontFamily;
    probe.remove();
    return colours;
  }

  // How much room a text takes, in pixels.
  const pen = document.createElement("canvas").getContext("2d");
  function lengthOf(text, size) {
    pen.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
    return pen.measureText(text ?? "").width;
  }

  const faint = (colour, alpha) => colour.replace(/^rgba?\(([^,]+,[^,]+,[^,)]+).*$/, `rgba($1, ${alpha})`);

  // Names come from people and from MyCirrus: Plotly would read tags and templates in them.
  const plain = (text) => String(text ?? "").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("%{", "%\u200b{");

  function times(trace, shift) {
    if (trace.x) return { x: trace.x.map((at) => at + shift) };
    return { x0: trace.x0 + shift, dx: trace.dx };
  }

  function bandOf(trace, shift) {
    const at = (i) => (trace.x ? trace.x[i] : trace.x0 + i * trace.dx) + shift;
    const x = [];
    const y = [];
    // Each run between gaps is a closed shape of its own: a fill "to the next trace" would be drawn across gaps.
    for (let i = 0; i < trace.lower.length; ) {
      if (trace.lower[i] == null || trace.upper[i] == null) {
        i += 1;
        continue;
      }
      let end = i;
      while (end < trace.lower.length && trace.lower[end] != null && trace.upper[end] != null) end += 1;
      if (x.length) {
        x.push(at(i));
        y.push(null);
      }
      for (let j = i; j < end; j += 1) x.push(at(j)), y.push(trace.upper[j]);
      for (let j = end - 1; j >= i; j -= 1) x.push(at(j)), y.push(trace.lower[j]);
      i = end;
    }
    return { x, y };
  }

  function bars(trace, colour) {
    return {
      type: "bar",
      name: plain(trace.name),
      x: trace.bands,
      y: trace.y,
      marker: { color: colour },
      hovertemplate: `%{x}: %{y:.1f} ${trace.unit}<extra></extra>`,
    };
  }

  function heat(trace, shift) {
    const [low, high] = extent(trace);
    return {
      type: "heatmap",
      name: plain(trace.name),
      ...times(trace, shift),
      y: trace.bands,
      z: trace.z,
      zmin: low,
      zmax: high,
      xtype: "scaled",
      hoverongaps: false,
      colorscale: SCALE.map((colour, i) => [i / (SCALE.length - 1), colour]),
      // Plotly's own key, and cells without any gap, would put inline styles on the page, which its policy refuses.
      showscale: false,
      ygap: 0.01,
      hovertemplate: `%{x|%a ${dayMonth}, %H:%M} · %{y}: %{z:.1f} ${trace.unit}<extra></extra>`,
    };
  }

  function extent(trace) {
    const values = trace.z.flat().filter((value) => value != null);
    if (!values.length) return [0, 1];
    return values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [values[0], values[0]]);
  }

  // What its colours mean: a column of them beside the drawing, with the levels at both ends.
  function key(trace, colours) {
    const [low, high] = extent(trace);
    const shapes = SCALE.map((colour, i) => ({
      type: "rect",
      xref: "paper",
      yref: "paper",
      x0: 1.015,
      x1: 1.04,
      y0: i / SCALE.length,
      y1: (i + 1) / SCALE.length,
      fillcolor: colour,
      line: { width: 0 },
    }));
    const end = (level, y, yanchor) => ({
      text: `${CirrusTime.written(level, 0)} ${trace.unit}`,
      xref: "paper",
      yref: "paper",
      x: 1.05,
      y,
      xanchor: "left",
      yanchor,
      showarrow: false,
      font: { size: 11, color: colours["chart-axis"] },
    });
    return { shapes, annotations: [end(high, 1, "top"), end(low, 0, "bottom")] };
  }

  function drawn(trace, index, colours, shift, look) {
    const colour = colours.series[((trace.series ?? index + 1) - 1) % colours.series.length];
    if (trace.kind === "bars") return bars(trace, colour);
    if (trace.kind === "heat") return heat(trace, shift);
    const words = `%{y:.${trace.places ?? 1}f} ${trace.unit ?? look.unit ?? ""}`;
    const shared = {
      type: "scatter",
      name: plain(trace.name),
      connectgaps: false,
      visible: look.shows(trace) ? true : look.legend ? false : "legendonly",
      hovertemplate: `${words}<extra>${plain(trace.name)}</extra>`,
    };
    if (trace.kind === "band") {
      const shape = bandOf(trace, shift);
      return { ...shared, ...shape, mode: "lines", line: { width: 0 }, fill: "toself", fillcolor: faint(colour, 0.18), hoverinfo: "skip", hovertemplate: undefined };
    }
    const figure = { ...shared, ...times(trace, shift), y: trace.y };
    // An aggregate never comes without how much of its time was measured.
    const covered = trace.covered === undefined ? look.covered : trace.covered;
    if (covered) {
      figure.customdata = covered.map(CirrusTime.share);
      figure.hovertemplate = `${words} (${CirrusTime.say("covered", "%{customdata}")})<extra>${plain(trace.name)}</extra>`;
    }
    if (trace.kind === "points") {
      return { ...figure, mode: "markers", marker: { color: colour, size: trace.y.length > 200 ? 4 : 8, line: { width: trace.y.length > 200 ? 0 : 1.5, color: colours.surface } } };
    }
    figure.mode = "lines";
    const dash = trace.dash ?? DASHES[(index + Math.floor(index / colours.series.length)) % DASHES.length];
    const width = trace.width ?? (look.narrow ? 1.1 : 1.6);
    figure.line = { color: colour, width: dash === "thin" ? width / 2 : width, dash: dash === "thin" ? "solid" : dash, shape: trace.kind === "step" ? "hv" : "linear" };
    // A single value between two gaps has no line: without a dot it would be there and not be seen.
    const alone = trace.y.map((value, i) => value != null && trace.y[i - 1] == null && trace.y[i + 1] == null);
    if (alone.includes(true)) {
      figure.mode = "lines+markers";
      figure.marker = { color: colour, size: alone.map((is) => (is ? 5 : 0)), line: { width: 0 } };
    }
    return figure;
  }

  // --- What happened: signs in lanes at the foot of the chart, thin lines for what may change the levels, and bands.

  function signs(marks, colours, shift) {
    return Object.entries(LAYERS).flatMap(([name, { lane, symbol, series }]) => {
      const of = marks.filter((mark) => mark.layer === name);
      if (!of.length) return [];
      return {
        type: "scatter",
        mode: "markers",
        name,
        showlegend: false,
        yaxis: "y2",
        x: of.map((mark) => mark.at + shift),
        y: of.map(() => 0.025 + lane * 0.05),
        text: of.map((mark) => plain(mark.label)),
        hovertemplate: "%{text}<extra></extra>",
        marker: {
          symbol: of.map((mark) => (mark.failed ? "x" : symbol)),
          color: of.map((mark) => (mark.failed ? colours.bad : colours.series[series - 1])),
          size: 10,
          line: { width: 1, color: colours.surface },
        },
      };
    });
  }

  // room: how many pixels a stretch has.
  function bands(marks, colours, shift, room) {
    const lines = marks.filter((mark) => mark.layer in LAYERS && (LINED.has(mark.layer) || mark.failed)).slice(0, MOST_LINES);
    const stretches = marks.filter((mark) => mark.layer in STRETCHES && mark.until);
    // There may be hundreds of exclusions: what each of them is, is told where a point is read, and in the table.
    const label = (mark, textposition, xanchor) => (NAMED.has(mark.layer) ? { text: plain(mark.label), textposition, xanchor, font: { size: 11, color: colours["ink-2"] } } : undefined);
    return [
      ...stretches.map((mark) => ({
        type: "rect",
        layer: "below",
        xref: "x",
        yref: "paper",
        x0: mark.at + shift,
        x1: mark.until + shift,
        y0: 0,
        y1: 1,
        fillcolor: faint(colours[STRETCHES[mark.layer]], 0.12),
        line: { color: faint(colours[STRETCHES[mark.layer]], 0.7), width: 1, dash: "dash" },
        // A name that is longer would be cut off, or lie over its neighbour's.
        label: lengthOf(mark.label, 11) + 8 < room(mark) ? label(mark, "top left") : undefined,
      })),
      ...lines.map((mark) => ({
        type: "line",
        xref: "x",
        yref: "paper",
        x0: mark.at + shift,
        x1: mark.at + shift,
        y0: 0,
        y1: 1,
        line: { color: mark.failed ? colours.bad : colours.series[LAYERS[mark.layer].series - 1], width: 1, dash: "dot" },
        label: label(mark, "end", "right"),
      })),
    ];
  }

  // Named horizontal lines: {level, label, severity "amber" or "red"}. Above the highest there may be no room for its name.
  function limitLines(limits, traces, colours) {
    const levels = limits.map((limit) => limit.level);
    const lowest = Math.min(...levels);
    const highest = Math.max(...levels);
    const values = traces.flatMap((trace) => trace.y ?? []).filter((value) => value != null);
    const shown = Math.max(highest, ...values) - Math.min(lowest, ...values);
    // Where they lie close together beside what is drawn, their names would lie upon each other: one names them all.
    const close = limits.length > 1 && highest - lowest < shown / 4;
    const names = limits.map((limit) => plain(limit.label)).join(" / ");
    const label = ({ level, label: own }) => {
      if (close) return { text: level === lowest ? names : "", yanchor: "top" };
      return { text: plain(own), yanchor: level === highest ? "top" : "bottom" };
    };
    return limits.map((limit) => ({
      type: "line",
      xref: "paper",
      yref: "y",
      x0: 0,
      x1: 1,
      y0: limit.level,
      y1: limit.level,
      line: { color: limit.severity === "red" ? colours.bad : colours.warn, width: 1.5, dash: "dash" },
      label: { ...label(limit), textposition: "start", font: { size: 11, color: colours["ink-2"] } },
    }));
  }

  function merge(base, more) {
    for (const [key, value] of Object.entries(more ?? {})) {
      const plain = value && typeof value === "object" && !Array.isArray(value);
      base[key] = plain ? merge(base[key] ?? {}, value) : value;
    }
    return base;
  }

  function hasValues(data) {
    return (data.traces ?? []).some((trace) => (trace.y ?? trace.upper ?? trace.z?.flat() ?? []).some((value) => value != null));
  }

  // data: the JSON; size {width}; choice {has(name, before)}: whether a line or layer is to be seen, if a legend says so.
  function figureOf(data, width, choice) {
    const colours = palette();
    const zone = data.zone ?? "UTC";
    const offset = CirrusTime.offsetOf(zone, data.end ?? Date.now());
    const { shift } = offset;
    const narrow = width < NARROW;
    const timed = !data.traces.some((trace) => trace.kind === "bars");
    const span = data.end - data.start;
    // As fine as the points lie, or neighbours would be told at one time.
    const finest = Math.min(...data.traces.map((trace) => trace.dx ?? MINUTE));
    const clock = finest < SECOND ? "%H:%M:%S.%3f" : finest < MINUTE ? "%H:%M:%S" : "%H:%M";
    // With seconds, a tick's label is that much wider.
    const ticks = (narrow ? 6 : 9) - (span < 8 * MINUTE ? 3 : 0);
    const look = {
      narrow,
      unit: data.unit,
      covered: data.covered,
      legend: Boolean(choice),
      shows: (trace) => (choice && trace.id ? choice(trace.id, !trace.hidden) : !trace.hidden),
    };
    const marks = (data.marks ?? []).filter((mark) => !choice || choice(mark.layer, true));
    const axis = {
      gridcolor: colours["chart-grid"],
      linecolor: colours.line,
      tickcolor: colours.line,
      tickfont: { color: colours["chart-axis"], size: 12 },
      title: { font: { color: colours["chart-axis"], size: 12 } },
      zeroline: false,
      automargin: false,
    };
    const margin = { l: narrow ? 38 : 52, r: narrow ? 8 : 16, t: choice ? 14 : 34, b: 40 };
    const room = (mark) => ((Math.min(mark.until, data.end) - Math.max(mark.at, data.start)) / span) * (width - margin.l - margin.r);
    const layout = {
      autosize: true,
      margin,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: colours.font, size: 12, color: colours.ink },
      hovermode: timed && !data.traces.some((trace) => trace.kind === "heat") ? "x unified" : "closest",
      hoverlabel: { bgcolor: colours.raised, bordercolor: colours.line, font: { color: colours.ink, size: 13, family: colours.font } },
      legend: { orientation: "h", entrywidth: narrow ? Math.max(104, ...data.traces.map((trace) => lengthOf(trace.name, 12) + 4)) : undefined, x: 0, y: 1.02, xanchor: "left", yanchor: "bottom", font: { color: colours["ink-2"] } },
      showlegend: !choice && data.traces.length > 1,
      modebar: { color: colours["chart-axis"], activecolor: colours.ink, bgcolor: "rgba(0,0,0,0)", orientation: "h" },
      // On a phone a finger scrolls the page; zooming there is what the buttons are for.
      dragmode: timed && !matchMedia("(pointer: coarse)").matches ? "zoom" : false,
      shapes: [...bands(marks, colours, shift, room), ...limitLines(data.limits ?? [], data.traces, colours)],
      // What a reader chose in the legend stays; where the axes stand is said by the data.
      uirevision: "chosen",
      xaxis: merge({ type: "date", hoverformat: `%a ${dayMonthYear}, ${clock}`, ticklabelmode: "instant", nticks: ticks, tickangle: 0, tickformatstops: TICKS, uirevision: `${data.start}`, ...SPIKE, spikecolor: colours["chart-axis"] }, axis),
      yaxis: merge({ title: { text: narrow ? "" : (data.unit ?? data.traces[0]?.unit ?? ""), standoff: 8 }, side: "left", fixedrange: timed && data.bucket !== undefined, uirevision: `${data.start}` }, axis),
      yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
    };
    if (!timed) {
      // More than octaves, or little room: the names of bands stand on end.
      const upright = narrow || data.traces.some((trace) => trace.bands?.length > 12);
      layout.xaxis = merge({ type: "category", tickangle: upright ? -90 : "auto", fixedrange: true, automargin: true }, axis);
      layout.yaxis.fixedrange = true;
      if (upright) margin.b = 64;
    } else {
      if (data.start && data.end) layout.xaxis.range = [data.start + shift, data.end + shift];
      // Without its zone a time says nothing.
      layout.xaxis.title = merge({ text: `${zone} (${offset.name})`, standoff: narrow ? 10 : 14 }, axis.title);
      margin.b = narrow ? 56 : 64;
    }
    // Figures at an axis that nothing is drawn by would be made up.
    if (!hasValues(data)) layout.yaxis.showticklabels = false;
    const map = data.traces.find((trace) => trace.kind === "heat");
    if (map && map.z.length) {
      const { shapes, annotations } = key(map, colours);
      layout.shapes.push(...shapes);
      layout.annotations = annotations;
      margin.r = 64;
    }
    const traces = data.traces.map((trace, index) => drawn(trace, index, colours, shift, look));
    const changes = timed && data.start && data.end && CirrusTime.offsetOf(zone, data.start).minutes !== offset.minutes;
    return {
      traces: [...traces, ...signs(marks, colours, shift)],
      layout: merge(layout, data.layout),
      offset,
      clock: changes ? CirrusTime.say("clock", offset.name) : "",
    };
  }

  window.CirrusFigure = { figureOf, hasValues, palette, plain, NARROW };
})();
