import type * as TS from "typescript";
import type { FaultList } from "./faults";
import { LiteralError } from "./literals";
import { positionOf, type Meaning, type Module, type ModuleGraph } from "./modules";
import type { LiteralQuery } from "./queries";
import { SchemaError, type SchemaBuilder } from "./schemas";
import type { ServiceTable } from "./service-table";
import type { TypeResolver } from "./type-resolver";

/** What the readers of resources share. */
export interface Context {
  readonly root: string;
  readonly graph: ModuleGraph;
  readonly faults: FaultList;
  readonly resolver: TypeResolver;
  readonly schemas: SchemaBuilder;
  readonly services: ServiceTable;
  /** Every query whose text the source shows, to be checked when all is read. */
  readonly queries: LiteralQuery[];
}

/** A fault at a node, thrown to leave a resource unread. */
export class ReadError extends Error {
  readonly node: TS.Node;

  constructor(node: TS.Node, message: string) {
    super(message);
    this.node = node;
  }
}

/** Runs a reader; what it throws about the source becomes a fault, and the result null. */
export function attempt<T>(context: Context, module: Module, at: TS.Node, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    const known =
      error instanceof LiteralError || error instanceof ReadError || error instanceof SchemaError;
    if (!known) throw error;
    const node = error instanceof SchemaError ? at : error.node;
    context.faults.add(positionOf(module, node), error.message);
    return null;
  }
}

/** An identity for a declaration, the same from wherever it is imported. */
export function declarationKey(meaning: Meaning | null): string | null {
  return meaning?.kind === "declared" ? `${meaning.module.path}#${meaning.name}` : null;
}
