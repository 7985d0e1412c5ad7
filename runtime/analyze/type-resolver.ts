import type * as TS from "typescript";
import { indexedType, keysOf, mappedType } from "./computed-types";
import { encoreType } from "./encore-types";
import { extendsType } from "./extends";
import type { FaultList } from "./faults";
import { intersect } from "./intersect";
import { shown } from "./literals";
import { positionOf, type Meaning, type Module, type ModuleGraph } from "./modules";
import { readMembers } from "./object-types";
import {
  basic,
  NEVER,
  REPORTED,
  unionOf,
  unsupported,
  type NamedType,
  type Place,
  type Type,
} from "./types";
import { enumType, keywordType, literalTypeOf, valueType, type ValueContext } from "./value-types";
import { ts } from "./typescript";

/** Deeper nesting of declarations than this is a cycle that no value could have. */
const MAX_DEPTH = 64;

type Declared = Extract<Meaning, { kind: "declared" }>;

/**
 * Resolves type annotations without a type checker, to the extent that Encore's own parser does.
 * What it cannot know is refused, never guessed.
 */
export class TypeResolver {
  readonly #graph: ModuleGraph;
  readonly #faults: FaultList;
  readonly #open = (type: Type): Type => this.underlying(type);
  #depth = 0;

  constructor(graph: ModuleGraph, faults: FaultList) {
    this.#graph = graph;
    this.#faults = faults;
  }

  resolve(module: Module, node: TS.TypeNode): Type {
    return this.type(node, { module, bindings: new Map() });
  }

  /** Whether the type is one of TypeScript's own, `Pick<…>`, without a name of the application's. */
  isUtility(type: Type): boolean {
    return type.kind === "named" && type.module === this.#graph.universe;
  }

  /** Whether the declaration has type parameters. */
  isGeneric({ module, name }: NamedType): boolean {
    const node = module.declarations.get(name)?.[0];
    const known =
      node !== undefined &&
      (ts.isInterfaceDeclaration(node) ||
        ts.isTypeAliasDeclaration(node) ||
        ts.isClassDeclaration(node));
    return known && node.typeParameters !== undefined;
  }

  /** Opens names until what is left is not a name. */
  underlying(type: Type): Type {
    let current = type;
    for (let hops = 0; current.kind === "named"; hops += 1) {
      if (hops > MAX_DEPTH) return NEVER;
      current = this.declared(current);
    }
    return current;
  }

  /** What a name is declared as, which may be another name. */
  declared(type: NamedType): Type {
    if (this.#depth > MAX_DEPTH) {
      return unsupported(`type ${type.name} refers to itself without end`);
    }
    this.#depth += 1;
    try {
      return this.#declaration(type);
    } finally {
      this.#depth -= 1;
    }
  }

  #declaration({ module, name, args }: NamedType): Type {
    const [node, second] = module.declarations.get(name) ?? [];
    if (node === undefined) return NEVER;
    if (second !== undefined && node.kind === second.kind) {
      const message = `${name} is declared twice: Encore sees only the first; write one declaration`;
      this.fault({ module, bindings: new Map() }, second, message);
    }
    if (ts.isTypeAliasDeclaration(node)) {
      return this.type(node.type, this.#bind(module, node.typeParameters, args));
    }
    if (ts.isEnumDeclaration(node)) {
      return enumType(this.#values({ module, bindings: new Map() }), node, (member, message) =>
        this.fault({ module, bindings: new Map() }, member, message),
      );
    }
    if (ts.isInterfaceDeclaration(node)) {
      return this.#interface(node, this.#bind(module, node.typeParameters, args));
    }
    return unsupported(
      `class ${name} has no schema: declare an interface with its fields, and return plain objects`,
    );
  }

  #bind(
    module: Module,
    params: readonly TS.TypeParameterDeclaration[] | undefined,
    args: readonly Type[],
  ): Place {
    const bindings = new Map<string, Type>();
    for (const [index, { name, default: otherwise }] of (params ?? []).entries()) {
      const given = args[index];
      if (given !== undefined) bindings.set(name.text, given);
      else if (otherwise !== undefined) {
        // Encore does not see other type parameters in a default.
        bindings.set(name.text, this.type(otherwise, { module, bindings: new Map() }));
      } else {
        bindings.set(
          name.text,
          unsupported(`type parameter ${name.text} is given no type: write it`),
        );
      }
    }
    return { module, bindings };
  }

  #interface(node: TS.InterfaceDeclaration, place: Place): Type {
    let result: Type = readMembers(this, node.members, place);
    for (const clause of node.heritageClauses ?? []) {
      for (const parent of clause.types) {
        const name = parent.expression.getText();
        if (!/^[\w$.]+$/.test(name)) {
          this.fault(place, parent, `cannot extend ${name}: expected the name of a type`);
          continue;
        }
        const base = this.#reference(name, parent.typeArguments ?? [], parent, place);
        result = intersect(result, base, this.#open);
      }
    }
    return result;
  }

  type(node: TS.TypeNode, place: Place): Type {
    const keyword = keywordType(node);
    if (keyword !== null) return keyword;
    if (ts.isParenthesizedTypeNode(node)) return this.type(node.type, place);
    if (ts.isTypeReferenceNode(node)) {
      return this.#reference(node.typeName.getText(), node.typeArguments ?? [], node, place);
    }
    if (ts.isArrayTypeNode(node)) {
      return { kind: "array", element: this.type(node.elementType, place) };
    }
    if (ts.isLiteralTypeNode(node)) return this.#literal(node, place);
    if (ts.isTypeLiteralNode(node)) return readMembers(this, node.members, place);
    if (ts.isUnionTypeNode(node)) {
      return unionOf(node.types.map((member) => this.type(member, place)));
    }
    if (ts.isIntersectionTypeNode(node)) {
      const parts = node.types.map((member) => this.type(member, place));
      return parts.reduce((a, b) => intersect(a, b, this.#open));
    }
    return this.#computed(node, place);
  }

  /** Types that are computed from others. */
  #computed(node: TS.TypeNode, place: Place): Type {
    if (ts.isTypeOperatorNode(node)) {
      const of = this.type(node.type, place);
      return node.operator === ts.SyntaxKind.KeyOfKeyword ? keysOf(of, this.#open) : of;
    }
    if (ts.isIndexedAccessTypeNode(node)) {
      const object = this.type(node.objectType, place);
      const index = this.type(node.indexType, place);
      return this.#known(indexedType(object, index, this.#open), node, place);
    }
    if (ts.isTypeQueryNode(node)) return this.#typeOf(node, place);
    if (ts.isConditionalTypeNode(node)) return this.#conditional(node, place);
    if (ts.isMappedTypeNode(node)) return this.#mapped(node, place);
    if (ts.isInferTypeNode(node)) return { kind: "infer", name: node.typeParameter.name.text };
    if (ts.isTupleTypeNode(node)) {
      return unsupported("a tuple has no schema: write an array, or an object with named fields");
    }
    if (ts.isTemplateLiteralTypeNode(node)) return this.#template(node, place);
    this.fault(
      place,
      node,
      `Encore does not know the type ${shown(node)}: declare an interface instead`,
    );
    return REPORTED;
  }

  #template(node: TS.TypeNode, place: Place): Type {
    this.fault(place, node, `Encore knows no template literal types: write string or a literal`);
    return REPORTED;
  }

  #reference(name: string, argNodes: readonly TS.TypeNode[], node: TS.Node, place: Place): Type {
    const bound = place.bindings.get(name);
    if (bound !== undefined) return bound;
    const meaning = this.#meaning(name, place.module);
    if (meaning === null) return this.#global(name, argNodes, node, place);
    const args = (): Type[] => argNodes.map((arg) => this.type(arg, place));
    if (meaning.kind === "declared") return this.#namedType(meaning, args, node, place);
    if (meaning.kind === "package") {
      const isParam = (arg: TS.TypeNode) => place.bindings.has(arg.getText());
      const encore = encoreType(
        meaning.package,
        meaning.name,
        argNodes.some(isParam) && meaning.package === "encore.dev/validate" ? [] : args(),
      );
      if (encore !== null) return this.#known(encore, node, place);
    }
    return this.#notFound(name, node, place);
  }

  #notFound(name: string, node: TS.Node, place: Place): Type {
    const imported = place.module.imports.get(name.split(".")[0] ?? "")?.node;
    this.fault(
      place,
      imported ?? node,
      `type ${name} not found: expected one declared in the application`,
    );
    return REPORTED;
  }

  /** Follows `a.b.C` through namespaces and imports of whole modules. */
  #meaning(name: string, module: Module): Meaning | null {
    const [first = "", ...rest] = name.split(".");
    let meaning = this.#graph.lookUp(module, first);
    for (const part of rest) {
      if (meaning?.kind === "module") meaning = this.#graph.exported(meaning.module, part);
      else if (meaning?.kind === "declared")
        meaning = { ...meaning, name: `${meaning.name}.${part}` };
      else if (meaning?.kind === "package" && meaning.name === "*") {
        meaning = { ...meaning, name: part };
      } else return { kind: "absent", name };
    }
    return meaning;
  }

  #namedType({ module, name }: Declared, args: () => Type[], node: TS.Node, place: Place): Type {
    const declaration = module.declarations.get(name)?.[0];
    if (declaration === undefined) {
      this.fault(place, node, `type ${name} not found: expected an exported type of its namespace`);
      return REPORTED;
    }
    if (!isTypeDeclaration(declaration)) {
      this.fault(place, node, `${name} is a value, not a type: write typeof ${name}`);
      return REPORTED;
    }
    return { kind: "named", name, module, args: args() };
  }

  #global(name: string, argNodes: readonly TS.TypeNode[], node: TS.Node, place: Place): Type {
    if (name === "Date") return basic("date");
    const args = argNodes.map((arg) => this.type(arg, place));
    if (name === "Array") return { kind: "array", element: args[0] ?? NEVER };
    if (name === "Promise") {
      const [of] = args;
      if (of !== undefined) return { kind: "promise", of };
      return unsupported("a promise must say what it gives: write Promise<void>");
    }
    const module = this.#graph.universe;
    if (module.declarations.has(name)) return { kind: "named", name, module, args };
    this.fault(place, node, `Encore does not know the type ${name}: declare it, or write another`);
    return REPORTED;
  }

  #literal(node: TS.LiteralTypeNode, place: Place): Type {
    const literal = literalTypeOf(node.literal);
    return literal ?? this.#template(node, place);
  }

  /** A text is what is wrong with the type. */
  #known(type: Type | string, node: TS.Node, place: Place): Type {
    if (typeof type !== "string") return type;
    // Whoever uses one of TypeScript's own types has the place.
    if (place.module === this.#graph.universe) return unsupported(type);
    this.fault(place, node, type);
    return REPORTED;
  }

  #typeOf(node: TS.TypeQueryNode, place: Place): Type {
    const name = node.exprName.getText();
    const [first = "", ...members] = name.split(".");
    let type = this.#values(place).named(first);
    for (const member of members) {
      const of = type === null ? null : this.underlying(type);
      const field =
        of?.kind === "object" ? of.fields.find((one) => one.name === member) : undefined;
      type = field?.type ?? null;
    }
    return this.#known(
      type ?? `Encore does not know the type of ${name}: write the type out`,
      node,
      place,
    );
  }

  #values(place: Place): ValueContext {
    const { module } = place;
    return {
      module,
      annotated: (node) => this.type(node, place),
      named: (name) => this.#valueNamed(this.#graph.lookUp(module, name)),
    };
  }

  #valueNamed(meaning: Meaning | null): Type | null {
    if (meaning?.kind !== "declared") return null;
    const { module, name } = meaning;
    const declaration = module.declarations.get(name)?.[0];
    if (declaration === undefined) return null;
    if (ts.isEnumDeclaration(declaration)) {
      return this.underlying({ kind: "named", name, module, args: [] });
    }
    if (!ts.isVariableDeclaration(declaration)) return null;
    const place = { module, bindings: new Map<string, Type>() };
    if (declaration.type !== undefined) return this.type(declaration.type, place);
    const { initializer } = declaration;
    return initializer === undefined ? null : valueType(this.#values(place), initializer);
  }

  #conditional(node: TS.ConditionalTypeNode, place: Place): Type {
    const check = this.type(node.checkType, place);
    const param = ts.isTypeReferenceNode(node.checkType) ? node.checkType.typeName.getText() : "";
    const pattern = this.type(node.extendsType, place);
    // Only a bare type parameter distributes over a union, and only one that is a union as written.
    const distributes = place.bindings.has(param) && check.kind === "union";
    const branches = (distributes ? check.members : [check]).map((member) => {
      const bindings = new Map(place.bindings);
      if (distributes) bindings.set(param, member);
      const inferred = extendsType(member, pattern, this.#open);
      for (const [name, type] of inferred ?? []) bindings.set(name, type);
      const branch = inferred === null ? node.falseType : node.trueType;
      return this.type(branch, { module: place.module, bindings });
    });
    return unionOf(branches);
  }

  #mapped(node: TS.MappedTypeNode, place: Place): Type {
    const { constraint, name } = node.typeParameter;
    const { type: template, nameType } = node;
    if (constraint === undefined || template === undefined) {
      this.fault(place, node, "a mapped type must name its keys and their type");
      return REPORTED;
    }
    const at = (key: Type, part: TS.TypeNode): Type => {
      const bindings = new Map(place.bindings).set(name.text, key);
      return this.type(part, { module: place.module, bindings });
    };
    const mapping = {
      keys: this.type(constraint, place),
      value: (key: Type) => at(key, template),
      name: (key: Type) => (nameType === undefined ? key : at(key, nameType)),
      optional:
        node.questionToken === undefined
          ? null
          : node.questionToken.kind !== ts.SyntaxKind.MinusToken,
    };
    return this.#known(mappedType(mapping, this.#open), node, place);
  }

  /** Notes a fault at a node of the place's module, or of the module that the node is from. */
  fault(place: Place, node: TS.Node, message: string): void {
    const file = node.getSourceFile();
    const module =
      file === place.module.file ? place.module : { ...place.module, file, path: file.fileName };
    this.#faults.add(positionOf(module, node), message);
  }
}

function isTypeDeclaration(node: TS.Declaration): boolean {
  return (
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isEnumDeclaration(node) ||
    ts.isClassDeclaration(node)
  );
}
