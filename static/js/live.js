// Levels as they happen, on any [data-live] panel (templates/monitoring/_live.html): server-sent events at data-source.
//
// Read with fetch rather than EventSource, which hides the answer's status: a full house, an ended session and a page
// that is no longer ours must be told apart. Nothing is drawn that was not heard: a pause of three seconds is a gap.
(() => {
  "use strict";
  const SPAN = 60_000;
  const GAP = 3_000;
  const STALE = 5_000;
  const SLOW = 15_000;
  // The server sends at least a comment every 15 s: without one the line is dead, whatever the browser believes.
  const SILENCE = 40_000;
  const LINES = ["LAeq", "LAF", "LCPeak"];
  const WORDS = { waiting: "connecting", unavailable: "stopped", busy: "stopped", ended: "stopped", outside: "stopped" };

  function panel(root) {
    const all = (name) => [...root.querySelectorAll(`[data-live-${name}]`)];
    const one = (name) => root.querySelector(`[data-live-${name}]`);
    const start = one("start");
    if (!start) return;
    const stop = one("stop");
    const body = one("body");
    const octaves = one("octaves");
    const bands = one("bands");
    const values = new Map(all("value").map((node) => [node.dataset.liveValue, node]));
    const bars = new Map(all("bar").map((node) => [node.dataset.liveBar, node]));
    const paths = new Map(all("path").map((node) => [node.dataset.livePath, node]));
    const shown = new Set(["LAeq"]);
    let points = [];
    let on = false;
    let state = "start";
    let status = {};
    let heardAt = 0; // when the last levels came, by this page's clock
    let offset = 0; // from that clock to the instrument's
    let since = 0; // when the state began
    let aborter = null;
    let again = 0;
    let tries = 0;
    let saying = 0;

    // --- What is said of it

    function show(next) {
      if (next === state) return;
      state = next;
      since = performance.now();
      age();
      const word = WORDS[state] ?? (state.startsWith("refused") ? "stopped" : state);
      for (const node of all("word")) node.hidden = node.dataset.liveWord !== word;
      const sentence = (name) => root.querySelector(`[data-live-note="${name}"]`);
      const note = sentence(state) ?? (word === "stopped" ? sentence("refused") : null);
      for (const node of all("note")) node.hidden = node !== note;
      clearTimeout(saying);
      // Spoken once it has stood for a second: a connection that comes back at once is not worth a sentence.
      if (on) saying = setTimeout(say, 1000, word, note);
    }

    function say(word, note) {
      const badge = root.querySelector(`[data-live-word="${word}"]`);
      const words = [badge, note].map((node) => node && node.textContent.trim()).filter(Boolean);
      one("said").textContent = words.join(". ");
    }

    function stand(flow) {
      // What the instrument does goes before how the line stands.
      if (flow === "live" && status.calibrating) show("calibrating");
      else if (flow === "live" && status.checking) show("checking");
      else if (flow === "live" && status.measuring === false) show("idle");
      else show(flow);
    }

    const flowing = () => ["live", "idle", "calibrating", "checking"].includes(state);

    // --- What is heard

    function hear(event) {
      if (event.type === "levels") {
        points.push({ at: event.at, values: event.values });
        heardAt = performance.now();
        offset = event.at - heardAt;
        if (status.measuring === false) status = {};
        stand("live");
        age();
        figures(event.values);
        draw();
      } else if (event.type === "status") {
        status = event;
        if (flowing()) stand("live");
      } else if (event.type === "state") {
        if (event.state !== "live") status = {};
        if (event.state === "connecting" && flowing()) stand("interrupted");
        else if (event.state === "refused") show(`refused-${event.reason}`);
        else stand(event.state);
      }
    }

    function figures(levels) {
      for (const [name, node] of values) node.textContent = levels[name] === undefined ? "–" : CirrusTime.written(levels[name]);
      for (const [name, bar] of bars) {
        const height = levels[name] === undefined ? 0 : Math.max(0, Math.min(100, levels[name]));
        bar.setAttribute("y", 100 - height);
        bar.setAttribute("height", height);
      }
    }

    function age() {
      // What was last measured is not shown as if it were now.
      const old = !heardAt || performance.now() - heardAt > STALE;
      body.classList.toggle("is-old", old || !flowing());
      return old;
    }

    // --- The line of the last minute

    function draw() {
      const now = performance.now() + offset;
      points = points.filter((point) => point.at > now - SPAN - GAP);
      const drawn = points.flatMap((point) => LINES.filter((name) => shown.has(name)).map((name) => point.values[name]));
      const levels = drawn.filter((level) => level !== undefined);
      let low = levels.length ? Math.floor(Math.min(...levels) / 10) * 10 : 30;
      let high = levels.length ? Math.ceil(Math.max(...levels) / 10) * 10 : 90;
      if (high - low < 20) [low, high] = [low - 10, low + 20];
      one("top").textContent = high;
      one("bottom").textContent = low;
      for (const [name, path] of paths) path.setAttribute("d", shown.has(name) ? line(name, now, low, high) : "");
    }

    function line(name, now, low, high) {
      let drawn = "";
      let before = -Infinity;
      for (const { at, values: levels } of points) {
        if (levels[name] === undefined || at < now - SPAN) continue;
        const x = (600 * (1 - (now - at) / SPAN)).toFixed(1);
        const y = (150 * (1 - (levels[name] - low) / (high - low))).toFixed(1);
        // Further apart than that, something is missing between the two: nobody knows what it was.
        drawn += at - before > GAP ? `M${x} ${y}h0` : `L${x} ${y}`;
        before = at;
      }
      return drawn;
    }

    function tick() {
      if (!on) return;
      const now = performance.now();
      if (age() && state === "live") show("interrupted");
      if (state === "connecting" && now - since > SLOW) show("waiting");
      if (heardAt && now - heardAt > GAP) draw();
    }

    // --- The connection

    async function listen(signal) {
      const address = `${root.dataset.source}?values=levels${octaves.checked ? ",octaves" : ""}`;
      const answer = await fetch(address, {
        signal,
        cache: "no-store",
        redirect: "manual",
        headers: { Accept: "text/event-stream" },
      });
      if (answer.type === "opaqueredirect" || answer.status === 401) return finish("ended");
      if (answer.status === 404 || answer.status === 403) return finish("outside");
      if (answer.status === 204) return finish("refused");
      if (answer.status === 503) {
        show("busy");
        return Number(answer.headers.get("Retry-After") ?? 15) * 1000;
      }
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      tries = 0;
      await read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
      // It ends by itself every ten minutes.
      return 0;
    }

    async function read(reader) {
      let rest = "";
      let silence = 0;
      const listened = () => {
        clearTimeout(silence);
        silence = setTimeout(() => reader.cancel(), SILENCE);
      };
      listened();
      try {
        for (;;) {
          const { done, value } = await reader.read();
          if (done) return;
          listened();
          const lines = (rest + value).split("\n");
          rest = lines.pop();
          for (const text of lines) if (text.startsWith("data: ")) hear(JSON.parse(text.slice(6)));
        }
      } finally {
        clearTimeout(silence);
      }
    }

    async function connect() {
      clearTimeout(again);
      aborter?.abort();
      const mine = (aborter = new AbortController());
      let pause;
      try {
        pause = await listen(mine.signal);
      } catch {
        if (mine.signal.aborted) return;
        show("interrupted");
        pause = Math.min(30_000, 1000 * 2 ** tries++);
      }
      if (!on || mine !== aborter || mine.signal.aborted || pause === undefined) return;
      again = setTimeout(connect, pause * (0.7 + 0.6 * Math.random()));
    }

    function disconnect() {
      clearTimeout(again);
      aborter?.abort();
      aborter = null;
    }

    function finish(why) {
      switchTo(false);
      show(why);
    }

    function switchTo(wanted) {
      const focused = document.activeElement === start || document.activeElement === stop;
      on = wanted;
      start.hidden = on;
      stop.hidden = !on;
      if (focused) (on ? stop : start).focus();
      if (on) {
        body.hidden = false;
        status = {};
        show("connecting");
        connect();
      } else {
        disconnect();
        clearTimeout(saying);
        show("start");
      }
    }

    start.addEventListener("click", () => switchTo(true));
    stop.addEventListener("click", () => switchTo(false));
    octaves.addEventListener("change", () => {
      bands.hidden = !octaves.checked;
      if (on) connect();
    });
    for (const button of all("line")) {
      button.addEventListener("click", () => {
        const name = button.dataset.liveLine;
        // One line at least stays.
        if (shown.has(name) && shown.size > 1) shown.delete(name);
        else shown.add(name);
        button.setAttribute("aria-pressed", String(shown.has(name)));
        draw();
      });
    }
    // Nobody sees a hidden tab: MyCirrus is not asked for it, and what was missed stays a gap.
    const pauseOrGoOn = () => {
      if (!on) return;
      if (document.hidden) disconnect();
      else if (!aborter) connect();
    };
    document.addEventListener("visibilitychange", pauseOrGoOn);
    addEventListener("pagehide", disconnect);
    addEventListener("pageshow", (event) => event.persisted && pauseOrGoOn());
    setInterval(tick, 1000);
  }

  for (const root of document.querySelectorAll("[data-live]")) panel(root);
})();
