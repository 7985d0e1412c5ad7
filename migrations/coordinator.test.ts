import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { type Coordinator, createCoordinator } from "./coordinator";
import { bootLeaseMs, MAX_FREEZES } from "./core/limits";
import { isTerminal, type Mode } from "./core/migration";
import { createGate } from "./gate";
import {
  createTestJournal,
  createTestWorld,
  newRow,
  type TestJournal,
  type TestWorld,
  type TestWorldOptions,
} from "./test-world";

const silent = { info: () => undefined, warn: () => undefined };
const never = new Promise<never>(() => undefined);

function coordinate(
  world: TestWorld,
  journal: TestJournal,
  leaseOwner: string,
  freezeGate = createGate(2),
): Coordinator {
  return createCoordinator({
    freezeGate,
    journal,
    outside: world.outside,
    leaseOwner,
    log: silent,
    random: () => 0,
    announce: () => undefined,
  });
}

/** Lets timers run until the migration has come to its end. */
async function untilOver(journal: TestJournal): Promise<void> {
  for (let step = 0; step < 2_000 && !isTerminal(journal.row.phase); step++) {
    await vi.advanceTimersByTimeAsync(20);
  }
  expect(journal.row.phase).toSatisfy(isTerminal);
}

async function move(options: TestWorldOptions, mode: Mode | null = null) {
  const world = createTestWorld(options);
  const journal = createTestJournal(newRow(mode));
  const coordinator = coordinate(world, journal, "first");
  coordinator.kick();
  await untilOver(journal);
  return { world, journal };
}

/** Where everything is in the end, whichever way it went. */
function expectWhole({ world, journal }: { world: TestWorld; journal: TestJournal }): void {
  const { source, destination } = world;
  expect(world.faults).toEqual([]);
  if (journal.row.phase === "completed") {
    expect(world.decision()).toBe("committed");
    expect(source).toMatchObject({ route: "tombstone", running: false, hasFiles: false });
    expect(destination).toMatchObject({ route: "active", hasFiles: true });
    expect(world.events.length).toBeGreaterThanOrEqual(1);
  } else {
    expect(world.decision()).toBe("aborted");
    expect(source).toMatchObject({ route: "active", generation: 1, hasFiles: true });
    expect(destination).toMatchObject({ running: false, hasFiles: false });
    expect(destination.route).toBe("none");
    expect(world.events).toEqual([]);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const CASES: readonly { mode: Mode; options: TestWorldOptions; requested?: Mode }[] = [
  { mode: "asleep", options: { running: false } },
  { mode: "overlap", options: { running: true } },
  { mode: "handoff", options: { running: true, filesChanged: true } },
  { mode: "stop-copy", options: { running: true, filesChanged: true }, requested: "stop-copy" },
];

describe.each(CASES)("a move in mode $mode", ({ mode, options, requested = null }) => {
  it("completes", async () => {
    const moved = await move(options, requested);
    expect(moved.journal.row).toMatchObject({ phase: "completed", mode, generation: 2 });
    expectWhole(moved);
    expect(moved.world.destination.running).toBe(mode !== "asleep");
    expect(moved.world.events).toMatchObject([{ seq: 7, from: "east", to: "west" }]);
    if (mode === "overlap") expect(moved.journal.row.holdMs).toBeUndefined();
    else expect(moved.journal.row.holdMs).toBeGreaterThanOrEqual(0);
  });

  it("ends committed or rolled back when its coordinator dies around any command", async () => {
    const { world } = await move(options, requested);
    const ends = { completed: 0, rolled_back: 0 };
    for (const [index] of world.commands.entries()) {
      for (const when of ["before", "after"] as const) {
        const end = await crashAt(options, index, when, requested);
        ends[end] += 1;
      }
    }
    // Nothing but a crash happened, so each of them is carried to its end.
    expect(ends).toEqual({ completed: 2 * world.commands.length, rolled_back: 0 });
  });

  it("ends committed or rolled back when it is aborted around any command", async () => {
    const { world } = await move(options, requested);
    for (const [index, command] of world.commands.entries()) {
      for (const when of ["before", "after"] as const) {
        const end = await abortAt(options, index, when, requested);
        const isCommitted = world.commands.slice(0, index).includes("decide committed");
        const isDecided = isCommitted || (command === "decide committed" && when === "after");
        expect(`${command} ${when}: ${end}`).toBe(
          `${command} ${when}: ${isDecided ? "completed" : "rolled_back"}`,
        );
      }
    }
  });
});

/** The coordinator dies at the command of that index; another takes over when its lease is over. */
async function crashAt(
  options: TestWorldOptions,
  index: number,
  when: "before" | "after",
  requested: Mode | null,
): Promise<"completed" | "rolled_back"> {
  let count = 0;
  const world = createTestWorld({
    ...options,
    interfere: (_name, at) => {
      if (at === when && count++ === index) return never;
      return undefined;
    },
  });
  const journal = createTestJournal(newRow(requested));
  coordinate(world, journal, "first").kick();
  await vi.advanceTimersByTimeAsync(100);
  journal.expireLeases();
  coordinate(world, journal, "second").kick();
  await untilOver(journal);
  expectWhole({ world, journal });
  return journal.row.phase === "completed" ? "completed" : "rolled_back";
}

/** Somebody aborts at the authority, and tells the coordinator. */
async function abortAt(
  options: TestWorldOptions,
  index: number,
  when: "before" | "after",
  requested: Mode | null,
): Promise<"completed" | "rolled_back"> {
  let count = 0;
  const world: TestWorld = createTestWorld({
    ...options,
    interfere: (_name, at) => {
      if (at === when && count++ === index) {
        world.decide("aborted");
        coordinator.abort(journal.row.id);
      }
    },
  });
  const journal = createTestJournal(newRow(requested));
  const coordinator = coordinate(world, journal, "first");
  coordinator.kick();
  await untilOver(journal);
  expectWhole({ world, journal });
  return journal.row.phase === "completed" ? "completed" : "rolled_back";
}

describe("a coordinator", () => {
  it("takes the caller's mode", async () => {
    const { journal } = await move({ running: true }, "handoff");
    expect(journal.row).toMatchObject({ phase: "completed", mode: "handoff" });
  });

  it("boots at the destination what was asleep and woke up", async () => {
    const moved = await move({ running: true }, "asleep");
    expect(moved.journal.row).toMatchObject({ phase: "completed", mode: "handoff" });
    expect(moved.world.destination.running).toBe(true);
    expectWhole(moved);
  });

  it("tries a busy repl again, and gives up with the source untouched", async () => {
    const calmed = await move({ running: true, filesChanged: true, busyFreezes: 2 });
    expect(calmed.journal.row.phase).toBe("completed");
    const busy = await move({ running: true, filesChanged: true, busyFreezes: 99 });
    expect(busy.journal.row).toMatchObject({ phase: "rolled_back", reason: "busy" });
    expect(busy.world.commands.filter((name) => name === "freeze")).toHaveLength(MAX_FREEZES);
    expect(busy.world.source.running).toBe(true);
    expectWhole(busy);
  });

  it("gives up when requests are held for too long, and restarts the source", async () => {
    const moved = await move({
      running: true,
      filesChanged: true,
      interfere: (name, when) => (name === "boot" && when === "before" ? never : undefined),
    });
    expect(moved.journal.row.phase).toBe("rolled_back");
    expect(moved.journal.row.reason).toContain("held");
    expect(moved.journal.row.holdMs).toBeGreaterThanOrEqual(5_000);
    expect(moved.journal.row.holdMs).toBeLessThan(7_000);
    expect(moved.world.source.running).toBe(true);
    expectWhole(moved);
  });

  it("waits the boot lease out when the destination is lost, and thaws the source then", async () => {
    const lost = { running: true, filesChanged: true, destinationLost: true };
    let askedAtMs = 0;
    const { world, journal } = await move({
      ...lost,
      interfere: (name, when) => {
        if (name === "boot" && when === "before") askedAtMs = Date.now();
        const isLost = askedAtMs > 0 && ["boot", "verify", "unstage"].includes(name);
        if (isLost && !(name === "boot" && when === "before")) throw new Error("no answer");
      },
    });
    expect(journal.row).toMatchObject({ phase: "rolled_back" });
    expect(world.decision()).toBe("aborted");
    expect(world.source).toMatchObject({ route: "active", running: true });
    expect(Date.now() - askedAtMs).toBeGreaterThan(bootLeaseMs("handoff"));
    expect(Date.now() - askedAtMs).toBeLessThan(60_000);
  });

  it("does not commit an overlap whose source has another release than was copied", async () => {
    const { world, journal } = await move({ running: true, release: 2 });
    expect(journal.row).toMatchObject({
      phase: "rolled_back",
      mode: "overlap",
      reason: "seal_source: release 2 came after 1",
    });
    expectWhole({ world, journal });
  });

  describe("copying what an app writes", () => {
    const GB = 1_000_000_000;
    const handed: TestWorldOptions = { running: true, filesChanged: true };
    const first = { bytes: GB, changedFiles: 9, changedBytes: GB, ms: 8_000 };
    const copies = ({ world }: { world: TestWorld }): number =>
      world.commands.filter((name) => name === "copy").length;

    it("goes on in rounds until little is left", async () => {
      const rounds = [
        first,
        { ...first, changedBytes: GB / 10, ms: 900 },
        { ...first, changedBytes: 9, ms: 80 },
      ];
      const moved = await move({ ...handed, rounds });
      expect(moved.journal.row).toMatchObject({ phase: "completed", mode: "handoff" });
      expect(copies(moved)).toBe(3);
      expectWhole(moved);
    });

    it("gives up before anything is held when it does not get less, and says how it can be done", async () => {
      const moved = await move({ ...handed, rounds: [first] });
      expect(copies(moved)).toBe(3);
      expect(moved.world.commands).not.toContain("freeze");
      expect(moved.journal.row.phase).toBe("rolled_back");
      expect(moved.journal.row.reason).toMatch(
        /^the app changes [\d.]+ MB\/s .* 125.0 MB\/s can be copied; "stele move hello.demo west --mode stop-copy" moves it with a pause of about \d+ s$/,
      );
      expectWhole(moved);
    });

    it("copies once for the other modes, whatever is written", async () => {
      for (const [options, mode] of [
        [{ running: false }, null],
        [{ running: true }, null],
        [handed, "stop-copy"],
      ] as const) {
        const moved = await move({ ...options, rounds: [first] }, mode);
        expect(moved.journal.row.phase).toBe("completed");
        expect(copies(moved)).toBe(1);
      }
    });

    it("gives a stop-copy the time that its copy takes, also in other hands, and not for ever", async () => {
      const hang = (name: string, when: string) =>
        name === "copy delta" && when === "before" ? never : undefined;
      const moved = await move({ ...handed, rounds: [first], interfere: hang }, "stop-copy");
      expect(moved.journal.row).toMatchObject({ phase: "rolled_back", freezeMs: 29_000 });
      expect(moved.journal.row.reason).toBe("requests were held for 29000 ms");
      expect(moved.world.freezeMs()).toBe(29_000);
      expect(moved.world.source.running).toBe(true);
      expectWhole(moved);
    });

    it("names what cannot be moved", async () => {
      const moved = await move({ ...handed, rounds: [{ special: ["sock"] }] });
      expect(moved.journal.row).toMatchObject({ phase: "completed", leftOut: ["sock"] });
    });
  });

  it("repeats what fails, and gives up before the commit only", async () => {
    const failing = (name: string, times: number): TestWorldOptions => ({
      running: true,
      interfere: (command, when) => {
        if (command === name && when === "before" && times-- > 0) throw new Error("unreachable");
      },
    });
    const stage = await move(failing("stage", 3));
    expect(stage.journal.row.phase).toBe("completed");
    const copy = await move(failing("copy", 99));
    expect(copy.journal.row.phase).toBe("rolled_back");
    expect(copy.journal.row.reason).toBe("copy_files: unreachable");
    expectWhole(copy);
    const activate = await move(failing("activate", 9));
    expect(activate.journal.row.phase).toBe("completed");
    const tombstone = await move(failing("tombstone", 9));
    expectWhole(tombstone);
  });

  it("learns from the authority what became of a commit whose answer was lost", async () => {
    let lost = 0;
    const moved = await move({
      running: true,
      interfere: (name, when) => {
        if (name === "decide committed" && when === "after" && lost++ === 0) throw new Error("cut");
      },
    });
    expect(moved.journal.row.phase).toBe("completed");
    expectWhole(moved);
  });

  it("tells why the authority would not open it", async () => {
    const world = createTestWorld({ running: true });
    world.decide("aborted");
    const journal = createTestJournal(newRow());
    coordinate(world, journal, "first").kick();
    await untilOver(journal);
    expect(journal.row).toMatchObject({ phase: "rolled_back", reason: "it was aborted" });
    expect(journal.row.generation).toBeNull();
    expect(world.commands).not.toContain("unstage");
  });

  it("goes on without the event when it cannot be published", async () => {
    const moved = await move({
      running: true,
      interfere: (name) => {
        if (name === "publish") throw new Error("no broker");
      },
    });
    expect(moved.journal.row.phase).toBe("completed");
    expect(moved.journal.row.published).toBeUndefined();
  });

  it("holds the requests of so many repls at once, and the others serve until it is their turn", async () => {
    const gate = createGate(2);
    let held = 0;
    let heldAtMost = 0;
    const interfere = async (name: string, when: "before" | "after"): Promise<void> => {
      if (name === "freeze" && when === "before") heldAtMost = Math.max(heldAtMost, ++held);
      if (name === "copy delta" && when === "before") {
        await new Promise((resolve) => {
          setTimeout(resolve, 2_000);
        });
      }
      if (name === "activate" && when === "after") held -= 1;
    };
    const journals = [1, 2, 3, 4].map(() => {
      const world = createTestWorld({ running: true, interfere });
      const journal = createTestJournal(newRow("handoff"));
      coordinate(world, journal, "first", gate).kick();
      return journal;
    });
    for (const journal of journals) await untilOver(journal);
    expect(heldAtMost).toBe(2);
    for (const { row } of journals) {
      expect(row.phase).toBe("completed");
      expect(row.holdMs).toBeLessThan(2_500);
    }
  });

  it("moves what sleeps past those who wait for their turn to hold requests", async () => {
    const gate = createGate(1);
    const inside = gate();
    const world = createTestWorld({ running: false });
    const journal = createTestJournal(newRow("asleep"));
    coordinate(world, journal, "first", gate).kick();
    await untilOver(journal);
    expect(journal.row.phase).toBe("completed");
    inside.leave();
  });

  it("lets go of a migration when it stops, and another goes on at once", async () => {
    let hangs = true;
    const world = createTestWorld({
      running: true,
      interfere: (name, when) =>
        name === "copy" && when === "before" && hangs ? never : undefined,
    });
    const journal = createTestJournal(newRow());
    const first = coordinate(world, journal, "first");
    first.kick();
    await vi.advanceTimersByTimeAsync(10);
    hangs = false;
    await first.stop(1_000);
    coordinate(world, journal, "second").kick();
    await untilOver(journal);
    expectWhole({ world, journal });
  });

  it("lets requests through that it holds before it stops, and nothing more", async () => {
    const world = createTestWorld({
      running: true,
      interfere: async (name, when) => {
        if (name === "boot" && when === "before") {
          await new Promise((resolve) => {
            setTimeout(resolve, 1_000);
          });
        }
      },
    });
    const journal = createTestJournal(newRow("handoff"));
    const first = coordinate(world, journal, "first");
    first.kick();
    await vi.advanceTimersByTimeAsync(500);
    expect(world.source.route).toBe("frozen");
    const stopped = first.stop(10_000);
    await vi.advanceTimersByTimeAsync(1_000);
    await stopped;
    expect(world.source.route).toBe("tombstone");
    expect(world.commands).not.toContain("cleanup");
    coordinate(world, journal, "second").kick();
    await untilOver(journal);
    expectWhole({ world, journal });
  });

  it("lets go of what it holds as soon as a step fails: another goes on at once", async () => {
    let stopping = false;
    const world = createTestWorld({
      running: true,
      interfere: async (name, when) => {
        if (name !== "boot" || when !== "before" || stopping) return;
        stopping = true;
        await new Promise((resolve) => {
          setTimeout(resolve, 1_000);
        });
        throw new Error("this process takes no more calls");
      },
    });
    const journal = createTestJournal(newRow("handoff"));
    const first = coordinate(world, journal, "first");
    first.kick();
    await vi.advanceTimersByTimeAsync(500);
    let isOver = false;
    const stopped = first.stop(10_000).then(() => (isOver = true));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(isOver).toBe(true);
    await stopped;
    expect(world.source.route).toBe("frozen");
    coordinate(world, journal, "second").kick();
    await untilOver(journal);
    expectWhole({ world, journal });
    expect(journal.row.phase).toBe("completed");
  });

  it("does not wait for what it holds beyond its deadline", async () => {
    const world = createTestWorld({
      running: true,
      interfere: (name, when) => (name === "boot" && when === "before" ? never : undefined),
    });
    const first = coordinate(world, createTestJournal(newRow("handoff")), "first");
    first.kick();
    await vi.advanceTimersByTimeAsync(500);
    const stopped = first.stop(1_000);
    await vi.advanceTimersByTimeAsync(1_000);
    await stopped;
    expect(world.source.route).toBe("frozen");
  });

  it("stops working on what another has taken over", async () => {
    let hangs = true;
    const world = createTestWorld({
      running: true,
      interfere: (name, when) =>
        name === "copy" && when === "before" && hangs ? never : undefined,
    });
    const journal = createTestJournal(newRow());
    const first = coordinate(world, journal, "first");
    first.kick();
    await vi.advanceTimersByTimeAsync(10);
    hangs = false;
    journal.expireLeases();
    coordinate(world, journal, "second").kick();
    await first.tick();
    await untilOver(journal);
    expectWhole({ world, journal });
    expect(world.commands.filter((name) => name === "decide committed")).toHaveLength(1);
  });
});
