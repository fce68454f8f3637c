// Time on charts: one offset for a whole chart, and the words for an instant and for what charts say. It draws nothing.
(() => {
  "use strict";
  const [MINUTE, DAY] = [60_000, 86_400_000];
  const language = document.documentElement.lang || "en";

  // In the reader's language: the page brings them along with this script.
  const told = { ...document.currentScript.dataset };
  const locale = JSON.parse(told.locale);
  // A number and its sign stay in one line.
  told.covered = told.covered.replace("{} %", "{}\u00a0%");
  const say = (name, value = "") => (told[name] ?? "").replace("{}", value);

  // As pages write a number: the language's decimal sign, a real minus, and zero without one.
  const written = (value, places = 1) =>
    value.toFixed(places).replace(/^-(?=[0.]*$)/, "").replace("-", "−").replace(".", locale.format.decimal);
  // A part from 0 to 1 in percent, cut as pages cut it: only what is whole is 100, and only nothing is 0.
  const share = (part) => (part === 0 || part === 1 ? String(part * 100) : written(Math.max(Math.floor(part * 1000 + 1e-6), 1) / 10));

  // Plotly knows no zones: instants are shifted by ONE offset for the whole chart, so that no hour is drawn twice or
  // left out where the clocks change; the axis says which offset it is.
  function offsetOf(zone, at) {
    const parts = new Intl.DateTimeFormat("en", { timeZone: zone, timeZoneName: "longOffset" }).formatToParts(at);
    const name = parts.find((part) => part.type === "timeZoneName").value;
    const match = /([+-])(\d\d):(\d\d)/.exec(name);
    const minutes = match ? (match[1] === "-" ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3])) : 0;
    return { minutes, shift: minutes * MINUTE, name: match ? name.replace("GMT", "UTC") : "UTC" };
  }

  // What a form's datetime-local field holds: the wall clock of the zone at that instant.
  const local = (at, zone, letters = 16) => new Date(at + offsetOf(zone, at).shift).toISOString().slice(0, letters);
  const address = (at) => new Date(Math.round(at / 1000) * 1000).toISOString().replace(".000Z", "Z");
  const fixed = (start, end) => `from=${address(start)}&to=${address(end)}`;

  // Where Plotly says that an axis stands, as an instant: it writes dates without a zone.
  function instant(text, shift) {
    if (typeof text === "number") return text - shift;
    const [day, clock = "00:00"] = String(text).split(" ");
    return Date.parse(`${day}T${clock.length < 5 ? "00:00" : clock.slice(0, 12)}Z`) - shift;
  }

  function words(at, shift, options) {
    return new Intl.DateTimeFormat(language, { timeZone: "UTC", ...options }).format(at + shift);
  }

  // "25 Nov 2026, 14:03 – 14:04": an interval of the chart. A day of UTC is a day of the reader's only where both begin.
  function interval(start, length, shift) {
    const day = { day: "numeric", month: "short", year: "numeric" };
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    if (length === DAY && (start + shift) % DAY === 0) return words(start, shift, day);
    return `${words(start, shift, { ...day, ...clock })} – ${words(start + length, shift, length < DAY ? clock : { ...day, ...clock })}`;
  }

  window.CirrusTime = { offsetOf, local, address, fixed, instant, interval, locale, say, share, written };
})();
