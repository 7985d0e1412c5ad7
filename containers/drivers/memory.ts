import {
  type Capabilities,
  type ContainerDriver,
  type ContainerRef,
  type ContainerSpec,
  type DriverEvents,
  type Incarnation,
  markerOf,
  type Remembered,
  type Started,
} from "./driver";

/** A driver that runs nothing: the test double, and the measure of what a driver must promise. */
export class MemoryDriver implements ContainerDriver {
  readonly kind = "memory";
  private readonly running = new Map<string, { ref: ContainerRef; started: Started }>();
  private nextPid = 1;

  constructor(private readonly events: DriverEvents) {}

  capabilities(): Capabilities {
    return { isolation: "none", limits: [], portScan: false };
  }

  async start(
    { ref, port, command }: ContainerSpec,
    onSpawned: (incarnation: Incarnation) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Started> {
    const found = this.running.get(markerOf(ref));
    if (found) return found.started;
    signal.throwIfAborted();
    if (command === "false") throw new Error("exit code 1 before it listened");
    const started = { upstream: { host: "127.0.0.1", port } };
    this.running.set(markerOf(ref), { ref, started });
    await onSpawned({ pid: this.nextPid, identity: String(this.nextPid++) });
    if (signal.aborted) this.running.delete(markerOf(ref));
    signal.throwIfAborted();
    return started;
  }

  async stop(ref: ContainerRef): Promise<void> {
    this.running.delete(markerOf(ref));
  }

  async adopt({ ref }: Remembered): Promise<boolean> {
    return this.running.has(markerOf(ref));
  }

  isRunning(ref: ContainerRef): boolean {
    return this.running.has(markerOf(ref));
  }

  async probe(ref: ContainerRef): Promise<boolean> {
    return this.isRunning(ref);
  }

  async list(): Promise<readonly ContainerRef[]> {
    return [...this.running.values()].map(({ ref }) => ref);
  }

  /** What a crash of the app looks like to the driver. */
  crash(ref: ContainerRef): void {
    if (!this.running.delete(markerOf(ref))) return;
    this.events.onExit(ref, { reason: "exit code 1" });
  }

  close(): void {
    this.running.clear();
  }
}
