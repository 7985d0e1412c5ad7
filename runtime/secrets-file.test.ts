import { describe, expect, it } from "vitest";

import { parseSecrets } from "./secrets-file";

describe("parseSecrets()", () => {
  it("reads names and values", () => {
    const text = '// mine\nApiToken: "a\\"b: c"\n\n"Other": "x", // note\n';
    expect(parseSecrets(text)).toEqual({ ApiToken: 'a"b: c', Other: "x" });
  });

  it("names the line that it cannot read", () => {
    expect(() => parseSecrets('A: "1"\nB: 2')).toThrow(
      /.secrets.local.cue:2: expected Name: "value"/,
    );
  });
});
