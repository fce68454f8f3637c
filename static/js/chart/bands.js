// Reading a spectrum band by band, and a spectrogram cell by cell: with arrows, a click or a tap. It draws nothing itself.
//
//   data-chart-bands-read           on a chart of bars or heat: it can be read and takes keys
//   data-chart-readout="id"         where a band or a cell of chart id is told
(() => {
  "use strict";
  const { charts } = window.CirrusChart;
  const places = new WeakMap();

  const valueOf = (value, unit) => (value == null ? CirrusTime.say("none") : `${CirrusTime.written(value)} ${unit}`);

  // Every way to read one kind of drawing: how many columns and rows it has, what a cell says, where Plotly shows it.
  const KINDS = {
    bars: {
      size: (data) => [data.traces[0].bands.length, 1],
      first: () => [0, 0],
      words: ({ data }, [column]) => data.traces.map((trace) => `${trace.bands[column]}: ${valueOf(trace.y[column], trace.unit)}`).join(", "),
      hover: (chart, [column]) => chart.data.traces.map((_, curve) => ({ curveNumber: curve, pointNumber: column })),
      clicked: (point) => [point.pointNumber, 0],
    },
    heat: {
      size: (data) => [data.traces[0].z[0]?.length ?? 0, data.traces[0].bands.length],
      // The newest of the lowest band.
      first: (data) => [data.traces[0].z[0].length - 1, 0],
      words({ data, offset }, [column, row]) {
        const { x0, dx, bands, z, unit } = data.traces[0];
        const begin = x0 + (column - 0.5) * dx;
        return `${CirrusTime.interval(begin, dx, offset.shift)} (${offset.name}), ${bands[row]}: ${valueOf(z[row][column], unit)}`;
      },
      hover({ data, offset }, [column, row]) {
        const { x0, dx } = data.traces[0];
        return { xval: x0 + column * dx + offset.shift, yval: row };
      },
      clicked: (point) => [point.pointNumber[1], point.pointNumber[0]],
    },
  };

  const kindOf = (element) => KINDS[charts.get(element).data?.traces?.[0]?.kind];

  function tell(element, [column, row]) {
    const chart = charts.get(element);
    const kind = kindOf(element);
    const [columns, rows] = kind?.size(chart.data) ?? [0, 0];
    if (!columns || !rows) return undefined;
    const place = [Math.min(Math.max(column, 0), columns - 1), Math.min(Math.max(row, 0), rows - 1)];
    places.set(element, place);
    const told = document.querySelector(`[data-chart-readout="${CSS.escape(element.id)}"]`);
    if (told) told.textContent = `${kind.words(chart, place)}.`;
    return kind.hover(chart, place);
  }

  function read(element, place) {
    const hover = tell(element, place);
    if (hover) Plotly.Fx.hover(element.querySelector(".chart-plot"), hover, ["xy"]);
  }

  function onKey(event) {
    const element = event.currentTarget;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
    const ends = { Home: 0, End: Infinity };
    const kind = kindOf(element);
    if (event.target !== element || event.ctrlKey || event.metaKey || event.altKey || !kind) return;
    const step = steps[event.key];
    if (!step && !(event.key in ends)) return;
    // Of one row there is no above and below: the page scrolls.
    if (step?.[1] && kind.size(charts.get(element).data)[1] < 2) return;
    event.preventDefault();
    const now = places.get(element);
    if (!step) return read(element, [ends[event.key], now?.[1] ?? 0]);
    const by = event.shiftKey ? 10 : 1;
    read(element, now ? [now[0] + by * step[0], now[1] + by * step[1]] : kind.first(charts.get(element).data));
  }

  document.addEventListener("chart:drawn", ({ target: element, detail: { plot } }) => {
    if (element.dataset.chartBandsRead === undefined) return;
    // Of another instant the same band is told; a cell says its own time, and is of the drawing before.
    const place = places.get(element);
    places.delete(element);
    if (place && kindOf(element) === KINDS.bars) tell(element, place);
    if (element.tabIndex === 0) return;
    element.tabIndex = 0;
    element.addEventListener("keydown", onKey);
    plot.on("plotly_click", ({ points }) => read(element, kindOf(element).clicked(points[0])));
  });
})();
