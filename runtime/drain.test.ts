import { beforeEach, describe, expect, it, vi } from "vitest";

import { onExit, runExitHooks } from "./drain";

beforeEach(() => {
  delete (globalThis as Record<symbol, unknown>)[Symbol.for("stele.runtime.exit")];
});

describe("runExitHooks()", () => {
  it("runs each hook once, the last first", async () => {
    const order: string[] = [];
    onExit(() => void order.push("postgres"));
    onExit(async () => void order.push("app"));
    await Promise.all([runExitHooks(), runExitHooks()]);
    expect(order).toEqual(["app", "postgres"]);
  });

  it("leaves out what was taken back", async () => {
    const hook = vi.fn();
    onExit(hook)();
    await runExitHooks();
    expect(hook).not.toHaveBeenCalled();
  });

  it("goes on after a hook that fails or never ends", async () => {
    const logged = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const last = vi.fn();
    onExit(last);
    onExit(() => Promise.reject(new Error("no")));
    onExit(() => new Promise(() => {}));
    await runExitHooks(20);
    expect(last).toHaveBeenCalledOnce();
    expect(logged).toHaveBeenCalledWith("A step of the shutdown failed: no\n");
  });
});
