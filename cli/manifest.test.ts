import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import { dataModeOf, readManifest } from "./manifest";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "stele-manifest-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const modeOf = (text: string): string | undefined => {
  writeFileSync(join(directory, "stele.json"), text);
  return dataModeOf(readManifest(directory));
};

it("says what an app keeps, or nothing", () => {
  expect(dataModeOf(readManifest(directory))).toBeUndefined();
  expect(modeOf("{}")).toBeUndefined();
  expect(modeOf('{ "data": {} }')).toBeUndefined();
  expect(modeOf('{ "data": { "mode": "files" } }')).toBe("files");
});

it.each([
  ["{", "cannot read stele.json: Expected property name"],
  ["[]", "cannot read stele.json: it is no object"],
  ['{ "date": {} }', 'cannot read stele.json: "date" is unknown: data can be said'],
  ['{ "data": "files" }', 'cannot read stele.json: "data" is no object'],
  ['{ "data": { "mod": "files" } }', 'cannot read stele.json: "data.mod" is unknown'],
  ['{ "data": { "mode": "disk" } }', '"data.mode" is "disk": none, files or auto can be said'],
])("refuses %s", (text, message) => {
  expect(() => modeOf(text)).toThrow(message);
});
