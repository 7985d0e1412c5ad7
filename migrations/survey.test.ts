import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { SurveyPage } from "./cluster-client";
import { createSurveyor } from "./survey";

const found = (replId: string) => ({ replId, running: true, filesChanged: false, fileBytes: 7 });
const never = new Promise<never>(() => undefined);

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A cluster whose survey has these pages. */
function surveyor(pages: (page: SurveyPage) => Promise<{ items: ReturnType<typeof found>[] }>) {
  const asked: string[] = [];
  const warnings: unknown[] = [];
  const survey = createSurveyor({
    ask: (page) => {
      asked.push(page.after);
      return pages(page);
    },
    now: () => Date.now(),
    warn: (_clusterId, error) => warnings.push(error),
  });
  return { asked, warnings, survey: async () => [...(await survey("east")).keys()] };
}

describe("a survey", () => {
  it("reads page by page, and is not asked for again within its time", async () => {
    const { asked, survey } = surveyor(async ({ after }) => ({
      items: after === "" ? [found("a"), found("b")] : after === "b" ? [found("c")] : [],
    }));
    expect(await survey()).toEqual(["a", "b", "c"]);
    expect(await survey()).toEqual(["a", "b", "c"]);
    expect(asked).toEqual(["", "b", "c"]);
    await vi.advanceTimersByTimeAsync(30_000);
    await survey();
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toHaveLength(6);
  });

  it("answers without what a slow cluster has not told in time", async () => {
    const { survey } = surveyor(async ({ after }) =>
      after === "" ? { items: [found("a")] } : await never,
    );
    const answer = survey();
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await answer).toEqual(["a"]);
  });

  it("keeps what it knows of a cluster that does not answer any more", async () => {
    let isUp = true;
    const { survey, warnings } = surveyor(async ({ after }) => {
      if (!isUp) throw new Error("unreachable");
      return { items: after === "" ? [found("a")] : [] };
    });
    await survey();
    isUp = false;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await survey()).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await survey()).toEqual(["a"]);
    expect(warnings).toEqual([new Error("unreachable")]);
  });
});
