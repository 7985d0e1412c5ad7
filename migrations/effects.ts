import type { Authority } from "./authority";
import type { ClusterClient, Command, CommandResult, Copied } from "./cluster-client";
import { bootLeaseMs, commitBy, FREEZE_DEADLINE_MS, TIMEOUT_MS } from "./core/limits";
import { type Effect, type Event, handsOver } from "./core/migration";
import type { Moved } from "./core/moved-event";
import { chooseMode, type Policy } from "./core/mode";
import { outrunReason, type Round, stopDeadlineMs, verdictOf } from "./core/rounds";
import type { Facts, MigrationRow } from "./store";

/** One answer of a drain: short enough that the coordinator notices its own shutdown. */
const DRAIN_WAIT_MS = 5_000;

/** Everything outside that a migration acts on. */
export interface Outside {
  readonly authority: Authority;
  client(clusterId: string, timeoutMs: number): ClusterClient;
  /** Tells everybody, as `repl.moved`. */
  readonly publish: (moved: Moved) => Promise<void>;
  /** Whether an error says that it can never be done, and not that something is out of order. */
  isRefusal(error: unknown): boolean;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds by a clock that nobody sets. */
  elapsed(): number;
}

/** What an effect came to. `again`: it is not over yet, and is no failure. */
export interface Outcome {
  readonly event: Event | "again";
  readonly facts?: Facts;
  readonly reason?: string;
}

/** A migration in the hands of its coordinator. */
export interface Work {
  readonly row: MigrationRow;
  /** From `verify_destination` to `commit_placement`: how long the destination may count as booted. */
  bootLeaseUntil: string | null;
  /** From `verify_destination` to `seal_source`: counts the deploys of what was copied. */
  release: number;
  /** From `open_migration` to `choose_mode`. */
  policy: Policy;
  /** The rounds of the copy that this coordinator has seen, and when the last began. */
  copying: { readonly rounds: readonly Round[]; readonly lastBegunAt: number | null };
}

type CarryOut = (work: Work, outside: Outside, traceparent: string) => Promise<Outcome>;

const DONE: Outcome = { event: "done" };

function command(
  work: Work,
  effect: Effect,
  clusterId: string,
  at: At,
  timeoutMs = TIMEOUT_MS[effect],
): Command {
  return {
    clusterId,
    replId: work.row.replId,
    migrationId: work.row.id,
    generation: work.row.generation ?? 0,
    deadline: new Date(at.outside.now() + timeoutMs).toISOString(),
    traceparent: at.traceparent,
  };
}

interface At {
  readonly outside: Outside;
  readonly traceparent: string;
}

type Send = (client: ClusterClient, command: Command, row: MigrationRow) => Promise<CommandResult>;

/** An effect that is one command to one of the two clusters. */
function send(effect: Effect, side: "from" | "to", call: Send): CarryOut {
  return async (work, outside, traceparent) => {
    const clusterId = work.row[side];
    const client = outside.client(clusterId, TIMEOUT_MS[effect]);
    const order = command(work, effect, clusterId, { outside, traceparent });
    return toOutcome(effect, await call(client, order, work.row));
  };
}

function toOutcome(effect: Effect, { outcome, reason }: CommandResult): Outcome {
  return outcome === "done" ? DONE : { event: "refused", reason: `${effect}: ${reason}` };
}

/** What a migration keeps of a copy besides that it is done. */
function leftOut({ special }: Copied): Facts {
  return { leftOut: [...special] };
}

/** Rounds while the app runs. They are not written down: who takes over measures anew. */
const copyFiles: CarryOut = async (work, outside, traceparent) => {
  const { to, from, mode } = work.row;
  const client = outside.client(to, TIMEOUT_MS.copy_files);
  const order = command(work, "copy_files", to, { outside, traceparent });
  const begunAt = outside.now();
  const copied = await client.copyFiles({ ...order, fromCluster: from, final: false });
  if (copied.outcome === "refused") return toOutcome("copy_files", copied);
  const { lastBegunAt } = work.copying;
  const sinceMs = lastBegunAt === null ? null : begunAt - lastBegunAt;
  const round: Round = { ...copied, sinceMs };
  work.copying = { rounds: [...work.copying.rounds, round], lastBegunAt: begunAt };
  const facts = leftOut(copied);
  if (mode === "stop-copy") {
    return { event: "done", facts: { ...facts, freezeMs: stopDeadlineMs(round) } };
  }
  // What does not run does not write, and what overlaps has nothing that it must keep.
  if (mode !== "handoff") return { event: "done", facts };
  const verdict = verdictOf(work.copying.rounds);
  switch (verdict.kind) {
    case "freeze":
      return { event: "done", facts };
    case "again":
      return { event: "again" };
    case "outrun": {
      const { name, owner } = work.row;
      const instead = `stele move ${name}.${owner} ${to} --mode stop-copy`;
      return { event: "refused", facts, reason: outrunReason(verdict, instead) };
    }
  }
};

/** The last round: nobody writes any more. */
const copyDelta: CarryOut = async (work, outside, traceparent) => {
  const { to, from } = work.row;
  const timeoutMs = Math.max(TIMEOUT_MS.copy_delta, freezeMsOf(work));
  const client = outside.client(to, timeoutMs);
  const order = command(work, "copy_delta", to, { outside, traceparent }, timeoutMs);
  const copied = await client.copyFiles({ ...order, fromCluster: from, final: true });
  return { ...toOutcome("copy_delta", copied), facts: leftOut(copied) };
};

const freezeMsOf = ({ row }: Work): number => row.freezeMs ?? FREEZE_DEADLINE_MS;

const openMigration: CarryOut = async (work, { authority }, traceparent) => {
  const { id: migrationId, replId, from: there, to: toCluster, evacuationId } = work.row;
  const fromCluster = evacuationId === null ? null : there;
  const opened = await authority.open({
    migrationId,
    replId,
    toCluster,
    fromCluster,
    traceparent,
  });
  const { policy, fromCluster: from, fromGeneration, generation } = opened;
  work.policy = policy;
  return { event: "done", facts: { from, fromGeneration, generation } };
};

const chooseTheMode: CarryOut = async (work, outside, traceparent) => {
  const { from, requestedMode } = work.row;
  const client = outside.client(from, TIMEOUT_MS.choose_mode);
  const at = { outside, traceparent };
  const observed = await client.inspect(command(work, "choose_mode", from, at));
  return { event: "done", facts: { mode: chooseMode(requestedMode, work.policy, observed) } };
};

const freezeSource: CarryOut = async (work, outside, traceparent) => {
  const { from, cut, mode } = work.row;
  const client = outside.client(from, TIMEOUT_MS.freeze_source);
  const order = command(work, "freeze_source", from, { outside, traceparent });
  const { outcome, wasRunning, reason } = await client.freeze({
    ...order,
    cut,
    deadlineMs: freezeMsOf(work),
  });
  switch (outcome) {
    case "frozen":
      return { event: wasRunning && mode === "asleep" ? "woke_up" : "done" };
    case "busy":
      return { event: "busy", reason: "busy" };
    case "refused":
      return { event: "refused", reason: `freeze_source: ${reason}` };
  }
};

const verifyDestination: CarryOut = async (work, outside, traceparent) => {
  const { to } = work.row;
  const client = outside.client(to, TIMEOUT_MS.verify_destination);
  const order = command(work, "verify_destination", to, { outside, traceparent });
  const askedAtMs = outside.now();
  const verified = await client.verify({ ...order, leaseMs: bootLeaseMs(work.row.mode) });
  const { leaseLeftMs, release } = verified;
  // Counted from before it was asked, by the clock that the commit is checked by: not by the other's.
  work.bootLeaseUntil = new Date(commitBy(askedAtMs, leaseLeftMs)).toISOString();
  work.release = release;
  return toOutcome("verify_destination", verified);
};

const sealSource: CarryOut = async (work, outside, traceparent) => {
  const { from } = work.row;
  const client = outside.client(from, TIMEOUT_MS.seal_source);
  const order = command(work, "seal_source", from, { outside, traceparent });
  return toOutcome("seal_source", await client.seal({ ...order, release: work.release }));
};

const commitPlacement: CarryOut = async (work, { authority }, traceparent) => {
  const { status, seq } = await authority.decide({
    migrationId: work.row.id,
    decision: "committed",
    notAfter: work.bootLeaseUntil,
    traceparent,
  });
  return status === "committed"
    ? { event: "done", facts: { seq } }
    : { event: "found_aborted", reason: "aborted at the authority" };
};

const abortPlacement: CarryOut = async (work, { authority }, traceparent) => {
  const { status, seq } = await authority.decide({
    migrationId: work.row.id,
    decision: "aborted",
    notAfter: null,
    traceparent,
  });
  return status === "aborted" ? DONE : { event: "found_committed", facts: { seq } };
};

/** The event is a kick: when it cannot be sent now, the sweep sends it later, and the move goes on. */
const publishMoved: CarryOut = async ({ row }, { publish }, traceparent) => {
  const { id: migrationId, replId, from, to, seq, generation } = row;
  if (seq === null || generation === null) return DONE;
  try {
    await publish({
      seq,
      replId,
      migrationId,
      from,
      to,
      generation,
      traceparent,
    });
    return { event: "done", facts: { published: true } };
  } catch (error) {
    return { event: "done", reason: `Cannot publish repl.moved: ${String(error)}` };
  }
};

const drainSource: CarryOut = async (work, outside, traceparent) => {
  const { from, fromGeneration } = work.row;
  const client = outside.client(from, TIMEOUT_MS.drain_source);
  const order = command(work, "drain_source", from, { outside, traceparent });
  const drained = await client.drainOld({
    ...order,
    oldGeneration: fromGeneration ?? 0,
    waitMs: DRAIN_WAIT_MS,
  });
  return drained ? DONE : { event: "again" };
};

const activate = send("activate_destination", "to", (client, order) => client.activate(order));
const tombstone = send("tombstone_source", "from", (client, order, { to }) =>
  client.tombstone({ ...order, to }),
);

/**
 * Whom the source holds is forwarded as soon as may be: it is told at the same time, as the log may do
 * too. The effect of its own comes nonetheless, and makes sure. Where both run nobody is held.
 */
const activateDestination: CarryOut = async (work, outside, traceparent) => {
  if (work.row.mode !== "overlap") {
    void tombstone(work, outside, traceparent).catch(() => undefined);
  }
  return await activate(work, outside, traceparent);
};

/** How each effect is carried out. A rejection says that it is not known whether it was. */
export const CARRY_OUT: Readonly<Record<Effect, CarryOut>> = {
  open_migration: openMigration,
  choose_mode: chooseTheMode,
  stage_destination: send("stage_destination", "to", (client, order, { name, owner, from }) =>
    client.stage({ ...order, name, owner, peer: from }),
  ),
  copy_files: copyFiles,
  freeze_source: freezeSource,
  copy_delta: copyDelta,
  boot_destination: send("boot_destination", "to", (client, order, { mode }) =>
    client.boot({ ...order, leaseMs: bootLeaseMs(mode) }),
  ),
  verify_destination: verifyDestination,
  seal_source: sealSource,
  commit_placement: commitPlacement,
  activate_destination: activateDestination,
  tombstone_source: tombstone,
  publish_moved: publishMoved,
  drain_source: drainSource,
  clean_source: send("clean_source", "from", (client, order) => client.cleanup(order)),
  abort_placement: abortPlacement,
  unstage_destination: send("unstage_destination", "to", (client, order) => client.unstage(order)),
  thaw_source: send("thaw_source", "from", (client, order, { mode }) =>
    client.thaw({ ...order, restart: handsOver(mode) }),
  ),
};
