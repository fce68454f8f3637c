// A Plotly chart on any element that asks for one. The page works without it: a table of the same values is one link away.
//
//   <div class="chart" id="level-chart" data-chart data-source="URL" data-window="range=24h" data-label="Sound level"
//        data-summary="level-summary" data-refresh="60"><div class="chart-note"> what is seen without JavaScript </div></div>
//
//   data-source    answers JSON (below); data-window and data-query are parts of an address that are added to it
//   data-label     the chart's name for the ear; data-summary the id of the element that gets the summary's words
//   data-refresh   seconds between reloads (none: no reload) of a range that ends now; nothing is redrawn when nothing changed
//   data-unprinted what paper says in place of a chart that is not there yet
//   A chart is read and drawn once it comes near the screen, or is printed. All charts with data-window show one stretch of time:
//   the page's address has it as ?range= or ?from= and ?to=, and so has every link with data-chart-range or data-chart-link.
//   chart/explore.js says how a reader moves in it.
//
// The JSON:
//   zone      the IANA time zone the axis is drawn in; start, end (epoch milliseconds) of the whole range asked for
//   traces    [{name, unit, x0, dx, y}] or [{name, unit, x, y}]: x0 and x in epoch milliseconds UTC, dx in milliseconds,
//             a gap is null and stays a gap. Optional: id (by which a legend of the page knows it), series (1 to 5, its
//             colour), kind "line" (default), "step" or "points", dash (else each has another), hidden (not seen at first),
//             places (decimals, 1).
//             kind "band" has lower and upper in place of y: the minima and maxima of each interval.
//             kind "bars" has bands and y; kind "heat" has bands and z, a row of values for each band.
//   covered   0 to 1 for each interval of lines that are aggregates (a line may have its own; null: it is none);
//   bucket    the interval's length in seconds
//   at        of a chart that shows one instant: which
//   marks     [{layer, at, until, label, failed}] what happened; limits [{level, label, severity}] horizontal lines
//   unit      of the axis; summary: one sentence; coverage: 0 to 1; layout: merged over ours at the end
(() => {
  "use strict";
  // Plotly 4 offers to upload the data to its maker's cloud unless all three are said.
  const CONFIG = {
    showSendToCloud: false,
    displaylogo: false,
    plotlyServerURL: "",
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    toImageButtonOptions: { format: "png", scale: 2 },
    locale: "page",
    locales: { page: CirrusTime.locale },
    // Under a finger its buttons would lie over the legend; the buttons of the page do what they do.
    ...(matchMedia("(pointer: coarse)").matches ? { displayModeBar: false } : {}),
  };
  const charts = new Map();
  const ready = new Promise((done) => {
    if (window.Plotly) done();
    else addEventListener("DOMContentLoaded", () => done(), { once: true });
  });

  function note(element, words, again) {
    let place = element.querySelector(".chart-note");
    if (!words) return place?.remove();
    if (!place) {
      place = element.appendChild(document.createElement("div"));
      place.className = "chart-note";
    }
    if (again) place.setAttribute("role", "alert");
    else place.removeAttribute("role");
    place.replaceChildren(document.createElement("p"));
    place.firstChild.textContent = words;
    if (again) {
      const button = place.appendChild(document.createElement("button"));
      button.type = "button";
      button.className = "btn";
      button.textContent = CirrusTime.say("again");
      button.addEventListener("click", again);
    }
  }

  // Which lines and layers are to be seen, where the page has a legend of its own; undefined where Plotly draws one.
  function choiceOf(element) {
    const legend = document.querySelector(`[data-chart-legend="${CSS.escape(element.id)}"]`);
    if (!legend) return undefined;
    return (name, before) => legend.querySelector(`input[value="${CSS.escape(name)}"]`)?.checked ?? before;
  }

  async function draw(element) {
    const chart = charts.get(element);
    if (!chart.data) return;
    await ready;
    const { traces, layout, offset, clock } = CirrusFigure.figureOf(chart.data, element.clientWidth, choiceOf(element));
    chart.offset = offset;
    chart.narrow = element.clientWidth < CirrusFigure.NARROW;
    let plot = element.querySelector(".chart-plot");
    if (!plot) {
      plot = element.appendChild(document.createElement("div"));
      plot.className = "chart-plot";
    }
    if (!chart.failed) note(element, CirrusFigure.hasValues(chart.data) ? "" : (chart.data.empty ?? CirrusTime.say("empty")));
    await Plotly.react(plot, traces, layout, { ...CONFIG, toImageButtonOptions: { ...CONFIG.toImageButtonOptions, filename: element.id } });
    const summary = document.getElementById(element.dataset.summary ?? "");
    const covered = chart.data.coverage == null ? "" : `${CirrusTime.say("covered", CirrusTime.share(chart.data.coverage))}.`;
    if (summary) summary.textContent = [chart.data.summary, covered, clock].filter(Boolean).join(" ");
    if (!chart.failed) element.dataset.state = "drawn";
    element.dispatchEvent(new CustomEvent("chart:drawn", { bubbles: true, detail: { plot, data: chart.data, offset } }));
  }

  function addressOf(element) {
    const address = new URL(element.dataset.source, location.href);
    for (const more of [element.dataset.window, element.dataset.query]) {
      for (const [name, value] of new URLSearchParams(more ?? "")) address.searchParams.set(name, value);
    }
    return address;
  }

  async function load(element, { unseen = false } = {}) {
    const chart = charts.get(element);
    // What nobody looks at yet is read when somebody does.
    if (!chart.near && !unseen) return (chart.stale = true);
    chart.stale = false;
    chart.stop?.abort();
    const stop = (chart.stop = new AbortController());
    if (!chart.data || chart.failed) note(element, chart.data ? "" : CirrusTime.say("loading"));
    chart.failed = false;
    element.dataset.state = "loading";
    element.setAttribute("aria-busy", "true");
    try {
      const response = await fetch(addressOf(element), { signal: stop.signal, headers: { Accept: "application/json" } });
      // A session that ended leads to sign-in, which may answer in JSON, too: let the browser go there and come back.
      if (response.status === 401 || response.redirected) return location.reload();
      if (!response.ok) throw new Error(String(response.status));
      const text = await response.text();
      if (text !== chart.text) {
        chart.text = text;
        chart.data = JSON.parse(text);
        await draw(element);
      }
      if (chart.stop === stop) element.dataset.state = "drawn";
    } catch (error) {
      if (error.name === "AbortError") return;
      chart.failed = true;
      // The same answer as before is drawn again, too: it takes the note away.
      chart.text = undefined;
      element.dataset.state = "failed";
      // The old drawing would be taken for what was asked for.
      note(element, CirrusTime.say(chart.data ? "kept" : "failed"), () => load(element));
    } finally {
      if (chart.stop === stop) element.setAttribute("aria-busy", "false");
    }
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const chart = charts.get(target);
        if (!chart) continue;
        chart.near = isIntersecting;
        if (isIntersecting && chart.stale) load(target);
      }
    },
    { rootMargin: "400px" },
  );

  // A phone that is turned: words that fitted would run together, or have room now.
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const chart = charts.get(target);
      if (chart?.narrow !== undefined && chart.narrow !== target.clientWidth < CirrusFigure.NARROW) draw(target);
    }
  });

  function start(element) {
    if (charts.has(element)) return;
    charts.set(element, { stale: true });
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", element.dataset.label ?? "Chart");
    if (element.dataset.summary) element.setAttribute("aria-describedby", element.dataset.summary);
    note(element, CirrusTime.say("loading"));
    near.observe(element);
    sizes.observe(element);
    const seconds = Number(element.dataset.refresh);
    const moves = () => (element.dataset.window ?? "range").startsWith("range");
    if (seconds) setInterval(() => document.hidden || !element.isConnected || !moves() || load(element), seconds * 1000);
  }

  // --- One stretch of time for all

  const first = document.querySelector("[data-chart][data-window]")?.dataset.window;

  function windowOf(search) {
    const asked = new URLSearchParams(search);
    const fixed = ["from", "to"].filter((name) => asked.get(name)).map((name) => `${name}=${asked.get(name)}`);
    if (asked.get("from")) return fixed.join("&");
    return asked.get("range") ? `range=${asked.get("range")}` : first;
  }

  // An address with another window and whatever else it had.
  function addressWith(address, query) {
    const changed = new URL(address, location.href);
    for (const name of ["range", "from", "to"]) changed.searchParams.delete(name);
    for (const [name, value] of new URLSearchParams(query)) changed.searchParams.set(name, value);
    // Colons are allowed there, and an address with them can be read.
    return changed.href.replaceAll("%3A", ":");
  }

  function show(query, { push = true } = {}) {
    if (push) history.pushState(null, "", addressWith(location.href, query));
    for (const link of document.querySelectorAll("a[data-chart-range]")) {
      if (`range=${link.dataset.chartRange}` === query) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    for (const link of document.querySelectorAll("a[data-chart-link]")) link.href = addressWith(link.href, query);
    for (const element of charts.keys()) {
      if (element.dataset.window === undefined || (element.dataset.window === query && !charts.get(element).failed)) continue;
      element.dataset.window = query;
      load(element);
    }
    document.dispatchEvent(new CustomEvent("chart:window", { detail: { query } }));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-chart-range]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    if (!charts.size) return;
    event.preventDefault();
    const current = link.getAttribute("aria-current") === "true";
    if (!current || anyFailed()) show(`range=${link.dataset.chartRange}`, { push: !current });
  });

  addEventListener("popstate", () => {
    const query = windowOf(location.search);
    if (query) show(query, { push: false });
  });

  const anyFailed = () => [...charts.values()].some((chart) => chart.failed);

  addEventListener("online", () => {
    for (const [element, chart] of charts) if (chart.failed) load(element);
  });

  document.addEventListener("themechange", () => {
    for (const element of charts.keys()) draw(element);
  });

  // Paper shows those below the screen, too. It waits for nothing: data-unprinted stands there until they have come.
  addEventListener("beforeprint", () => {
    for (const [element, chart] of charts) if (chart.stale) load(element, { unseen: true });
  });

  function startAll() {
    for (const element of document.querySelectorAll("[data-chart]")) start(element);
  }
  window.CirrusChart = { charts, draw, load, show, addressWith, CONFIG };
  document.addEventListener("htmx:afterSettle", startAll);
  startAll();
})();
