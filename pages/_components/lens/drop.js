/** A picture dropped on the lens goes to the server by a streaming PUT; Python hears its hash. */
import { failure } from "./rows.js";

const MAX_UPLOAD = 64 * 1024 * 1024;

async function send(base, file) {
  const response = await fetch(`${base()}/atlas/upload?name=${encodeURIComponent(file.name)}`, {
    method: "PUT",
    body: file,
    headers: { "Content-Type": file.type || "application/octet-stream" },
  });
  if (!response.ok) throw await failure(response);
  return response.json();
}

/**
 * @param {HTMLElement} root where files may be dropped  @param {HTMLElement} veil shown meanwhile
 * @param {() => string} base path the app is served under
 * @param {(stored: object) => void} onStored the server took the file
 * @param {(message: string) => void} onRefused it did not, and why
 */
export function listenToDrops(root, veil, base, onStored, onRefused, signal) {
  const words = veil.querySelector("span");

  function show(text) {
    veil.hidden = !text;
    words.textContent = text ?? "";
  }

  async function take(file) {
    if (file.size > MAX_UPLOAD) {
      onRefused(`${file.name} has ${(file.size / 2 ** 20).toFixed(0)} MB; pictures may have up to 64 MB`);
      return;
    }
    show(`Sending ${file.name}, ${(file.size / 2 ** 20).toFixed(1)} MB`);
    try {
      onStored(await send(base, file));
    } catch (error) {
      onRefused(error.message ?? "the server did not answer");
    } finally {
      show(null);
    }
  }

  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  root.addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show("Drop the picture to look at it");
  }, { signal });
  root.addEventListener("dragleave", (event) => {
    if (!root.contains(event.relatedTarget)) show(null);
  }, { signal });
  root.addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    show(null);
    const file = event.dataTransfer.files[0];
    if (file) take(file);
  }, { signal });
}
