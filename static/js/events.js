// Events by ear and by keyboard: the waveform of a sound, and single keys that press what the page offers anyway.
//
//   data-sound="address"    a player: its canvas gets the waveform, its note what went wrong (data-failed, data-again, …)
//   data-press="x"          the key that presses this button, link or summary
//   data-row                a link of a list that j and k go through
//   data-keys-on            the checkbox that turns single keys off; the choice is kept in this browser
(() => {
  "use strict";

  // --- Sound

  const styles = getComputedStyle(document.documentElement);
  const probe = document.createElement("i");

  function colour(name) {
    document.body.append(probe);
    probe.style.color = `var(--${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found || styles.color;
  }

  function peaksOf(buffer, columns) {
    const samples = buffer.getChannelData(0);
    const peaks = new Float32Array(columns * 2);
    const step = samples.length / columns;
    for (let column = 0; column < columns; column += 1) {
      let low = 0;
      let high = 0;
      for (let i = Math.floor(column * step); i < Math.floor((column + 1) * step); i += 1) {
        if (samples[i] < low) low = samples[i];
        if (samples[i] > high) high = samples[i];
      }
      peaks[2 * column] = low;
      peaks[2 * column + 1] = high;
    }
    return peaks;
  }

  class Player {
    constructor(element) {
      this.element = element;
      this.canvas = element.querySelector("canvas");
      this.note = element.querySelector(".wave-note");
      this.audio = element.querySelector("audio");
      this.buffer = null;
      this.canvas.addEventListener("click", (event) => this.seek(event));
      this.audio.addEventListener("timeupdate", () => this.draw());
      this.audio.addEventListener("seeked", () => this.draw());
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      // Whoever pays for each megabyte presses play; everybody else sees the sound at once.
      if (!navigator.connection?.saveData) this.load();
    }

    say(words, again) {
      this.note.textContent = words;
      if (!again) return;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "btn btn-small";
      button.textContent = this.element.dataset.again;
      button.addEventListener("click", () => this.load());
      this.note.append(" ", button);
    }

    async load() {
      this.say(this.element.dataset.fetching);
      let bytes;
      try {
        const answer = await fetch(this.element.dataset.sound, { headers: { Accept: "application/json, audio/*" } });
        // A session that ended leads to sign-in: let the browser go there and come back.
        if (answer.redirected) return location.reload();
        if (!answer.ok) {
          const told = (answer.headers.get("Content-Type") ?? "").includes("json") ? await answer.json() : {};
          return this.say(told.message ?? this.element.dataset.failed, answer.status === 503);
        }
        bytes = await answer.arrayBuffer();
      } catch {
        return this.say(this.element.dataset.failed, true);
      }
      try {
        // A context that plays nothing: decoding needs no permission and no sound card.
        this.buffer = await new OfflineAudioContext(1, 1, 44_100).decodeAudioData(bytes);
        this.element.dataset.state = "drawn";
        this.say("");
        this.draw();
      } catch {
        this.element.dataset.state = "odd";
        this.say(this.element.dataset.odd);
      }
    }

    draw() {
      if (!this.buffer) return;
      const { canvas } = this;
      const scale = devicePixelRatio || 1;
      const [width, height] = [Math.round(canvas.clientWidth * scale), Math.round(canvas.clientHeight * scale)];
      if (!width || !height) return;
      if (canvas.width !== width || canvas.height !== height || !this.peaks) {
        [canvas.width, canvas.height] = [width, height];
        this.peaks = peaksOf(this.buffer, width);
      }
      const pen = canvas.getContext("2d");
      pen.clearRect(0, 0, width, height);
      const loudest = this.peaks.reduce((most, value) => Math.max(most, Math.abs(value)), 0.01);
      const played = (this.audio.currentTime / this.buffer.duration) * width;
      const [before, after] = [colour("accent"), colour("series-5")];
      for (let x = 0; x < width; x += 1) {
        const top = (1 - this.peaks[2 * x + 1] / loudest) * (height / 2);
        const bottom = (1 - this.peaks[2 * x] / loudest) * (height / 2);
        pen.fillStyle = x < played ? before : after;
        pen.fillRect(x, top, 1, Math.max(bottom - top, scale));
      }
    }

    seek(event) {
      if (!this.buffer) return;
      this.audio.currentTime = (event.offsetX / this.canvas.clientWidth) * this.buffer.duration;
      if (this.audio.paused) this.audio.play();
    }

    toggle() {
      if (this.audio.paused) this.audio.play().catch(() => {});
      else this.audio.pause();
    }
  }

  const players = [...document.querySelectorAll("[data-sound]")].map((element) => new Player(element));
  document.addEventListener("themechange", () => players.forEach((player) => player.draw()));

  // --- The tag: each answer renews its panel, and whatever waited in the old one would be gone with it

  const held = [];
  const renewing = () => document.querySelector("#event-tag:is(.htmx-swapping, .htmx-settling, .htmx-added), #event-tag .htmx-request");

  document.addEventListener(
    "click",
    (event) => {
      const pressed = event.target.closest("#event-tag button, a[data-press]");
      if (!pressed || event.ctrlKey || event.metaKey || event.shiftKey || !renewing()) return;
      event.preventDefault();
      event.stopPropagation();
      held.push(pressed);
    },
    true,
  );

  // What was pressed meanwhile is pressed in the new panel, in its turn.
  function release() {
    while (held.length && !renewing()) {
      const pressed = held.shift();
      (document.getElementById(pressed.id) ?? pressed).click();
    }
  }

  document.addEventListener("htmx:afterSettle", release);
  document.addEventListener("htmx:afterRequest", (event) => event.detail.successful || release());

  // --- Keys

  const STORE = "event-keys";

  function keysOn() {
    try {
      return localStorage.getItem(STORE) !== "off";
    } catch {
      return document.querySelector("[data-keys-on]")?.checked ?? true;
    }
  }

  for (const box of document.querySelectorAll("[data-keys-on]")) {
    box.checked = keysOn();
    box.addEventListener("change", () => {
      try {
        if (box.checked) localStorage.removeItem(STORE);
        else localStorage.setItem(STORE, "off");
      } catch {
        // The choice then lasts as long as the page.
      }
    });
  }

  function step(by) {
    const rows = [...document.querySelectorAll("a[data-row]")];
    if (!rows.length) return false;
    const at = rows.indexOf(document.activeElement);
    const next = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !keysOn()) return;
    const at = event.target;
    // Whoever is writing or choosing means the letter.
    if (at.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
    if (event.key === " ") {
      if (!players.length || at.closest("a, button, summary, audio, input")) return;
      event.preventDefault();
      players[0].toggle();
      return;
    }
    if ((event.key === "j" && step(1)) || (event.key === "k" && step(-1))) {
      event.preventDefault();
      return;
    }
    const pressed = document.querySelector(`[data-press="${CSS.escape(event.key)}"]`);
    if (!pressed) return;
    event.preventDefault();
    if (pressed.localName === "summary") pressed.focus();
    pressed.click();
  });
})();
