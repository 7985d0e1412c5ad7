import { describe, expect, it } from "vitest";

import { type AppFiles, detect, STATIC_COMMAND } from "./detect";

const none: AppFiles = { names: [], procfile: "", packageJson: "", requirements: "" };
const npm = (value: object): Partial<AppFiles> => ({
  names: ["package.json", "index.js"],
  packageJson: JSON.stringify(value),
});

describe("detect", () => {
  it.each<[string, Partial<AppFiles>, string, string]>([
    ["Procfile", { procfile: "worker: x\nweb: gunicorn a:b\n" }, "gunicorn a:b", "Procfile"],
    [
      "Procfile before package.json",
      { ...npm({ scripts: { start: "node b.js" } }), procfile: "web: node a.js" },
      "node a.js",
      "Procfile",
    ],
    ["start script", npm({ scripts: { start: "node b.js" } }), "node b.js", "Node.js"],
    [
      "prestart too",
      npm({ scripts: { prestart: "make", start: "node b.js" } }),
      "make && node b.js",
      "Node.js",
    ],
    [
      "framework by dependency",
      npm({ scripts: { start: "node ." }, dependencies: { express: "5" } }),
      "node .",
      "Express",
    ],
    ["main", { ...npm({ main: "it's.js" }), names: ["it's.js"] }, `node 'it'\\''s.js'`, "Node.js"],
    ["index.js", { names: ["index.js", "index.html"] }, "node index.js", "Node.js"],
    [
      "broken package.json",
      { names: ["server.js"], packageJson: "{" },
      "node server.js",
      "Node.js",
    ],
    ["main.py", { names: ["main.py"] }, "python3 main.py", "Python"],
    [
      "Flask",
      { names: ["app.py"], requirements: "# web\nFlask==3.0\n" },
      "python3 app.py",
      "Flask",
    ],
    ["static", { names: ["index.html", "a.css"] }, STATIC_COMMAND, "static"],
  ])("%s", (_what, files, command, framework) => {
    expect(detect({ ...none, ...files })).toEqual({ command, framework });
  });

  it("recognises nothing where there is nothing", () => {
    expect(detect({ ...none, names: ["README.md"] })).toBeNull();
    expect(detect({ ...none, packageJson: "null" })).toBeNull();
    expect(detect({ ...none, procfile: "web:\nworker: x" })).toBeNull();
  });
});
