// What makes the plain pages lively: colours, menus, copying, growing ages, and manners for htmx. No page needs it to work.
//
//   data-relative              on <time datetime>: its age, kept growing
//   data-old-from="instant"    from then on a newest value is no longer the present one: gets the class is-old
//   data-copy="text"           on a button: copies the text
//   data-choose-all="name"     on a button: ticks every box of that name, or none where all are ticked
//   data-sift="id"             on a search: leaves of the boxes in there those with its words, and those that are ticked
//   data-menu                  on <details>: closes on Escape, on a click elsewhere, and when another opens
//   data-tab="words"           on what htmx swaps in: begins the title of the tab, which is all that is seen of a page left open
//   data-announce="words"      on what htmx swaps in: read out politely when the words differ from those before
//   data-hold                  on what polls: waits while the pointer moves about in it, so that no row goes away under it
//   hx-trigger="every 15s, wake"   polling that rests in a hidden tab and catches up when it is seen again
//   fires "themechange" on document when the colours change
(() => {
  "use strict";
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // --- Colours

  function storedTheme() {
    try {
      return localStorage.getItem("theme") ?? "system";
    } catch {
      return root.dataset.theme ?? "system";
    }
  }

  function showTheme(choice) {
    if (choice === "system") delete root.dataset.theme;
    else root.dataset.theme = choice;
    for (const button of document.querySelectorAll("[data-theme-choice]")) {
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === choice));
    }
    document.dispatchEvent(new CustomEvent("themechange"));
  }

  function chooseTheme(choice) {
    try {
      if (choice === "system") localStorage.removeItem("theme");
      else localStorage.setItem("theme", choice);
    } catch {
      // The choice then lasts as long as the page.
    }
    showTheme(choice);
  }

  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(query).addEventListener("change", () => document.dispatchEvent(new CustomEvent("themechange")));
  }
  addEventListener("storage", (event) => {
    if (event.key === "theme") showTheme(event.newValue ?? "system");
  });
  showTheme(storedTheme());

  // --- Clicks: colours, copying, menus

  async function copy(button) {
    const words = button.querySelector("span") ?? button;
    const before = words.textContent;
    // Until its chart is drawn a link knows its address better than the button beside it.
    const text = button.dataset.copy || button.previousElementSibling.href;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Refused on plain http: shown to be taken by hand.
      return prompt(button.ariaLabel, text);
    }
    words.textContent = button.dataset.copied;
    announce(button.dataset.copied);
    setTimeout(() => (words.textContent = before), 2000);
  }

  document.addEventListener("click", (event) => {
    const theme = event.target.closest("[data-theme-choice]");
    if (theme) chooseTheme(theme.dataset.themeChoice);
    const copier = event.target.closest("[data-copy]");
    if (copier) copy(copier);
    const chooser = event.target.closest("[data-choose-all]");
    if (chooser) {
      const boxes = [...document.getElementsByName(chooser.dataset.chooseAll)];
      const all = boxes.every((box) => box.checked);
      for (const box of boxes) box.checked = !all;
    }
    for (const menu of document.querySelectorAll("details[data-menu][open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("input", ({ target }) => {
    if (!target.dataset.sift) return;
    const words = target.value.toLowerCase().split(/\s+/);
    for (const box of byId(target.dataset.sift).children) {
      const text = box.textContent.toLowerCase();
      box.classList.toggle("is-sifted", !words.every((word) => text.includes(word)));
    }
  });

  document.addEventListener("keydown", (event) => {
    // A search within a form is not sent with it.
    if (event.key === "Enter" && event.target.dataset?.sift) event.preventDefault();
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details[data-menu][open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  // --- Ages

  const ages = new Intl.RelativeTimeFormat(root.lang || "en", { numeric: "always" });
  const STEPS = [
    [60, "second", 1],
    [3600, "minute", 60],
    [86400, "hour", 3600],
    [Infinity, "day", 86400],
  ];

  function grow() {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
      const [, unit, length] = STEPS.find(([below]) => Math.abs(seconds) < below);
      time.textContent = ages.format(Math.trunc(seconds / length), unit);
    }
    for (const value of document.querySelectorAll("[data-old-from]")) {
      value.classList.toggle("is-old", Date.now() > Date.parse(value.dataset.oldFrom));
    }
  }
  setInterval(grow, 20_000);

  // --- A table that is wider than its place can be scrolled with the keyboard, too

  function reach() {
    for (const wrap of document.querySelectorAll(".table-wrap")) {
      if (wrap.scrollWidth > wrap.clientWidth) wrap.tabIndex = 0;
      else wrap.removeAttribute("tabindex");
    }
  }
  addEventListener("resize", reach);
  // What was folded had no width.
  document.addEventListener("toggle", reach, true);
  reach();

  // --- The live region, and the connection

  const announced = new Map();

  // Each region for itself: two that take turns at being swapped would otherwise repeat themselves for ever.
  function announce(words, of = "") {
    const region = byId("live");
    if (!region || words === announced.get(of)) return;
    announced.set(of, words);
    if (words) region.textContent = words;
  }
  // What a page says when it is opened is read with it.
  for (const region of document.querySelectorAll("[data-announce]")) announced.set(region.id, region.dataset.announce);

  // Each part that renews itself for itself: while one is renewed, another may fail for hours.
  const loadedAt = new Date();
  const goodAt = new Map();
  const failing = new Set();
  const partOf = (element) => (element?.matches('[hx-trigger*="every"]') && element.id) || "";

  function connected(good, part = "") {
    const banner = byId("connection");
    if (!banner) return;
    if (good) {
      // What is no part's own, a form or the network, is as good as whatever comes through.
      for (const each of [part, ""]) {
        goodAt.set(each, new Date());
        failing.delete(each);
      }
    } else {
      failing.add(part);
    }
    for (const each of failing) if (each && !byId(each)) failing.delete(each);
    banner.hidden = !failing.size;
    if (banner.hidden) return;
    const oldest = new Date(Math.min(...[...failing].map((each) => goodAt.get(each) ?? loadedAt)));
    const since = byId("connection-since");
    since.dateTime = oldest.toISOString();
    // In the zone of the page's other times.
    const told = oldest.toLocaleTimeString(root.lang || "en", {
      hour: "2-digit",
      minute: "2-digit",
      timeZone: root.dataset.zone,
      timeZoneName: "short",
    });
    // An alert that is written anew is read aloud anew.
    if (since.textContent !== told) since.textContent = told;
  }
  addEventListener("offline", () => connected(false));
  addEventListener("online", () => {
    // Whether it is really good is said by the next answer; a page that asks for nothing would keep the banner for ever.
    byId("connection")?.setAttribute("hidden", "");
    wake();
  });

  // --- Navigation that is wider than a phone: where one is comes into sight, and the page stays where it is

  for (const here of document.querySelectorAll(":is(.nav, .subnav) [aria-current]")) {
    const [bar, link] = [here.parentElement, here.getBoundingClientRect()];
    const { left, width } = bar.getBoundingClientRect();
    bar.scrollLeft += link.left + link.width / 2 - left - width / 2;
  }

  // --- htmx

  // A pointer that rests does not count: that of a screen on the wall rests for ever.
  const MOVING_MS = 5_000;
  let movedAt = -Infinity;
  addEventListener("pointermove", (event) => (movedAt = event.timeStamp), { passive: true });

  document.addEventListener("htmx:beforeRequest", (event) => {
    const cause = event.detail.requestConfig?.triggeringEvent;
    const held = event.detail.elt.matches("[data-hold]:hover") && performance.now() - movedAt < MOVING_MS;
    if ((document.hidden || held) && !cause) event.preventDefault();
  });

  // The address of a filter names what was chosen, and not what was left open.
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    if (!detail.elt.matches("form[hx-push-url]")) return;
    for (const name of new Set(detail.formData.keys())) {
      if (detail.formData.getAll(name).every((value) => value === "")) detail.formData.delete(name);
    }
  });

  function wake() {
    if (document.hidden || !window.htmx) return;
    for (const poller of document.querySelectorAll('[hx-trigger*="wake"]')) htmx.trigger(poller, "wake");
  }
  document.addEventListener("visibilitychange", wake);

  for (const name of ["sendError", "timeout"])
    document.addEventListener(`htmx:${name}`, ({ detail }) => connected(false, partOf(detail.elt)));
  document.addEventListener("htmx:responseError", ({ detail }) => {
    const { status } = detail.xhr;
    const part = partOf(detail.elt);
    if (status === 401 || status === 404 || status === 410) location.reload();
    else if (status >= 500 || part) connected(false, part);
    // Somebody did it: a page that was open while they signed in anew elsewhere has a token that is none any more.
    else byId("refused")?.removeAttribute("hidden");
  });
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    if (detail.successful) connected(true, partOf(detail.elt));
    if (detail.successful && !partOf(detail.elt)) byId("refused")?.setAttribute("hidden", "");
  });

  // A swap must not throw the keyboard back to the top of the page: remember where it was, find the same place again.
  // Nor may it close what the reader has opened, or untick what is chosen.
  let focused = null;
  let opened = [];
  let ticked = [];

  document.addEventListener("htmx:beforeSwap", (event) => {
    const at = document.activeElement;
    ticked = [...event.detail.target.querySelectorAll("td [type=checkbox]:checked")].map((box) => [box.name, box.value]);
    opened = [...event.detail.target.querySelectorAll("details[id][open]")].map((details) => details.id);
    if (!event.detail.shouldSwap || !event.detail.target.contains(at) || at === document.body) return;
    const marks = ["href", "name", "value", "data-key"].filter((name) => at.hasAttribute(name));
    const same = marks.map((name) => `[${name}="${CSS.escape(at.getAttribute(name))}"]`).join("");
    focused = { id: at.id, selector: same && at.localName + same, target: event.detail.target.id };
  });

  document.addEventListener("htmx:afterSwap", () => {
    for (const id of opened.splice(0)) byId(id)?.setAttribute("open", "");
    for (const [name, value] of ticked.splice(0)) {
      const box = [...document.getElementsByName(name)].find((each) => each.value === value);
      if (box) box.checked = true;
    }
  });

  document.addEventListener("htmx:afterSettle", ({ detail }) => {
    grow();
    reach();
    for (const region of document.querySelectorAll("[data-announce]")) announce(region.dataset.announce, region.id);
    const tab = document.querySelector("[data-tab]");
    if (tab) document.title = [tab.dataset.tab, ...document.title.split(" · ").slice(1)].join(" · ");
    // Another part's may come in between.
    if (!focused || detail.target?.id !== focused.target) return;
    const { id, selector, target } = focused;
    focused = null;
    if (document.activeElement && document.activeElement !== document.body) return;
    const region = target && byId(target);
    let place = (id && byId(id)) || (selector && (region ?? document).querySelector(selector));
    if (!place && region) {
      place = region;
      place.tabIndex = -1;
    }
    place?.focus({ preventScroll: true });
  });
})();
