import type * as TS from "typescript";
import type { MetricModel } from "../app-model";
import { ReadError, type Context } from "./context";
import { resourceName } from "./infrastructure";
import { positionOf } from "./modules";
import type { Reference } from "./references";
import { isBasic, type Type } from "./types";

const METRIC_NAME = /^(?!e_)[a-z](?:[a-z0-9_]{0,61}[a-z0-9])?$/;

/** `new Counter("name")`, `new GaugeGroup<Labels>("name")`. */
export function readMetric(context: Context, reference: Reference): Omit<MetricModel, "services"> {
  const { node, module, binding } = reference;
  const name = resourceName(reference, 0);
  if (!METRIC_NAME.test(name)) {
    throw new ReadError(
      node,
      `metric name "${name}" is not valid: expected up to 63 of a-z, 0-9 and _, without "e_" in front`,
    );
  }
  const kind = reference.name.startsWith("Counter") ? ("counter" as const) : ("gauge" as const);
  const labels = readLabels(context, reference, node.typeArguments?.[0]);
  return { name, kind, at: positionOf(module, node), variable: binding.name, labels };
}

function readLabels(
  { resolver, faults }: Context,
  { module, node }: Reference,
  type: TS.TypeNode | undefined,
): string[] {
  if (type === undefined) return [];
  const open = resolver.underlying(resolver.resolve(module, type));
  if (open.kind !== "object") return [];
  return open.fields.map((field) => {
    const label = snakeCase(field.name);
    if (label === "service") {
      throw new ReadError(node, `label "${field.name}" is Encore's own: give it another name`);
    }
    if (!isLabelType(field.type)) {
      faults.add(
        field.at ?? positionOf(module, node),
        `label ${field.name} must be string, number, boolean or a union of them, without a name for it`,
      );
    }
    return label;
  });
}

function isLabelType(type: Type): boolean {
  if (type.kind === "union") return type.members.every(isLabelType);
  const basics = ["string", "number", "boolean"] as const;
  return type.kind === "literal" || basics.some((name) => isBasic(type, name));
}

function snakeCase(name: string): string {
  return name
    .replace(
      /([a-z])(?=[A-Z0-9])|([A-Z])(?=[A-Z][a-z])|([A-Z])(?=[0-9])|([0-9])(?=[A-Za-z])/g,
      "$&_",
    )
    .toLowerCase();
}
