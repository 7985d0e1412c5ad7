import { describe, expect, it } from "vitest";

import { createControl } from "./control";

const never = new Promise<never>(() => undefined);

describe("a control", () => {
  it("lets work end by itself", async () => {
    const control = createControl();
    expect(await control.race(Promise.resolve(7), ["abort"])).toEqual({ value: 7 });
    await expect(control.race(Promise.reject(new Error("no")), ["abort"])).rejects.toThrow("no");
  });

  it("interrupts work that is listening, at once or later, and no other", async () => {
    const control = createControl();
    const racing = control.race(never, ["lost", "abort"]);
    control.raise("abort");
    expect(await racing).toEqual({ interrupted: "abort" });
    expect(await control.race(never, ["abort"])).toEqual({ interrupted: "abort" });
    expect(await control.race(Promise.resolve(7), ["lost"])).toEqual({ value: 7 });
  });

  it("names the gravest interruption", () => {
    const control = createControl();
    expect(control.raised(["abort", "lost"])).toBeUndefined();
    control.raise("abort");
    control.raise("lost");
    expect(control.raised(["abort", "lost"])).toBe("lost");
    expect(control.raised(["abort"])).toBe("abort");
  });

  it("ends what takes too long", async () => {
    expect(await createControl().race(never, ["abort"], 1)).toEqual({ interrupted: "time" });
  });
});
