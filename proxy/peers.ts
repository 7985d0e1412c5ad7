import { mayDial } from "./core/dial";
import type { Exchange } from "./exchange";
import type { HopKeys } from "./hop-keys";
import type { Table } from "./table";
import { Target } from "./upstream";

interface PeersOptions {
  readonly self: string;
  readonly table: Table;
  readonly hopKeys: HopKeys;
  readonly clock: { readonly now: number; readonly unixMs: number };
  readonly holdMs: number;
}

/** The proxies of other clusters: where they are dialled, and what is promised to them. */
export class Peers {
  private readonly targets = new Map<string, Target>();
  /** How often a peer's address has refused: the next one is tried then. */
  private readonly turns = new Map<string, number>();

  constructor(private readonly options: PeersOptions) {}

  /** Undefined when there is no such peer, or none that may be dialled. */
  target(peerId: string): Target | undefined {
    const { self, table } = this.options;
    const row = table.peers.get(peerId);
    const ingress = row?.ingress ?? [];
    const host = ingress[(this.turns.get(peerId) ?? 0) % ingress.length] ?? "";
    const port = row?.httpPort ?? 0;
    const known = this.targets.get(peerId);
    if (known !== undefined && known.host === host && known.port === port) return known;
    known?.retire();
    this.targets.delete(peerId);
    if (row === undefined || row.removed || peerId === self || !mayDial(host, port)) {
      return undefined;
    }
    const target = new Target({ host, port, generation: 0, peer: peerId });
    this.targets.set(peerId, target);
    return target;
  }

  /**
   * It has refused. A cluster with several proxies has an address of each: says whether there is
   * another one, and who was refused by the same turns to the same next.
   */
  refused(target: Target): boolean {
    const { peer } = target;
    if (this.targets.get(peer) === target) this.turns.set(peer, (this.turns.get(peer) ?? 0) + 1);
    return (this.options.table.peers.get(peer)?.ingress.length ?? 0) > 1;
  }

  /** The value of Stele-Hop for an exchange on its way to a peer. */
  hopField(exchange: Exchange): string {
    const { self, table, hopKeys, clock, holdMs } = this.options;
    const { heldSince, hop, head } = exchange;
    const waited = heldSince > 0 ? heldSince + holdMs - clock.now : 0;
    return hopKeys.sign(
      {
        from: self,
        to: exchange.target?.peer ?? "",
        replId: exchange.repl?.id ?? exchange.placement?.replId ?? "",
        minGeneration: exchange.forwardMin,
        hops: exchange.hops + 1,
        at: clock.unixMs,
        holdUntil: hop?.holdUntil || (waited > 0 ? clock.unixMs + Math.ceil(waited) : 0),
        clientIp: exchange.clientIp,
        proto: hop?.proto ?? "http",
        requestId: exchange.requestId,
      },
      {
        method: head.method,
        hostname: table.resolve(head.host).hostname,
        target: head.target,
      },
    );
  }

  sweep(now: number): void {
    for (const target of this.targets.values()) target.sweep(now);
  }

  destroy(): void {
    for (const target of this.targets.values()) target.retire();
  }
}
