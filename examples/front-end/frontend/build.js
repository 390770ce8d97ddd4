// A real project would call vite or webpack here.
import { mkdirSync, writeFileSync } from "node:fs";
import mustache from "mustache";

const page = "<!doctype html><title>{{ title }}</title><ul id=notes></ul><script src=notes.js></script>";
const script = `fetch("/api/notes").then((answer) => answer.json()).then((notes) => {
  document.querySelector("#notes").innerHTML = notes.map((note) => "<li>" + note).join("");
});`;
mkdirSync("dist", { recursive: true });
writeFileSync("dist/index.html", mustache.render(page, { title: "Board" }));
writeFileSync("dist/notes.js", script);
