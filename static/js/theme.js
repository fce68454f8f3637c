// Sets the chosen colours before the first paint; everything else about them is in app.js.
(() => {
  const root = document.documentElement;
  root.classList.remove("no-js");
  try {
    const choice = localStorage.getItem("theme");
    if (choice === "light" || choice === "dark") root.dataset.theme = choice;
  } catch {
    // Storage may be forbidden: the device's own preference then stands.
  }
})();
