import { APIError, api } from "encore.dev/api";

import { need } from "./checks";
import { CLASS, typeCode } from "./core/codes";
import { explain, type How, type Result } from "./core/explain";
import { fold, parseName } from "./core/names";
import { instance } from "./instance";

interface ExplainRequest {
  name: string;
  /** `A` when it is left out. */
  type?: string;
}

/** The repl that has a name, and where it lives. */
export interface NamedRepl {
  id: string;
  name: string;
  owner: string;
  clusterId: string;
  generation: number;
}

/** One look-up on the way to an answer. */
export interface LookUp {
  name: string;
  zone: string;
  serial: number;
  how: How;
  /** The name itself, the wildcard or the cut above it; where nothing is, the closest name that is. */
  at: string;
  types: string[];
  repl: NamedRepl | null;
  /** Where a CNAME leads from here. */
  target: string | null;
}

/** What a question is answered, and why. */
export interface Explained {
  name: string;
  type: string;
  rcode: string;
  result: Result;
  steps: LookUp[];
  /** In presentation form. */
  answers: string[];
  /** The process that says so, and the sequence of the placement log that it answers. */
  instanceId: string;
  seq: number;
}

/** Explain what this instance answers to a question. */
export const explainAnswer = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/explain" },
  async ({ name: nameText, type: typeText }: ExplainRequest): Promise<Explained> => {
    const what = `explain "${nameText}"`;
    const name = fold(need(what, parseName(nameText)));
    const type = typeCode(typeText ?? "A");
    if (type === undefined)
      throw APIError.invalidArgument(`Cannot ${what}: "${typeText}" is no type`);
    const { id, catalog, answeredSeq } = instance();
    const { steps, answers, ...rest } = explain(catalog, { name, type, class: CLASS.IN });
    return {
      ...rest,
      steps: steps.map((step) => ({ ...step, types: [...step.types] })),
      answers: [...answers],
      instanceId: id,
      seq: answeredSeq,
    };
  },
);
