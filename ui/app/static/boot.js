// Loads the pages' module. Stands apart so that the page needs no inline script.
import init from "./app.js";

const note = document.getElementById("boot");
init({ module_or_path: new URL("app_bg.wasm", import.meta.url) })
  .then(() => note?.remove())
  .catch((error) => {
    if (note) note.textContent = `The pages could not be loaded (${error}). Recording is not affected. Start the window again.`;
  });
