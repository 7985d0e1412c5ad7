import type * as TS from "typescript";
import type { FaultList } from "./faults";
import { assignable } from "./assignable";
import { encoreType } from "./encore-types";
import { intersect } from "./intersect";
import { positionOf, type Meaning, type Module, type ModuleGraph } from "./modules";
import {
  basic,
  isBasic,
  NEVER,
  unionOf,
  type Field,
  type NamedType,
  type ObjectType,
  type Type,
} from "./types";
import { dropUndefined, isUtilityType, membersOf, utilityType } from "./utility-types";
import { enumType, isPlainName, keywordType, valueType } from "./value-types";
import { ts } from "./typescript";

/** Where a type is written, and what its type parameters stand for there. */
interface Place {
  readonly module: Module;
  readonly bindings: ReadonlyMap<string, Type>;
}

/** What a fault leaves behind: a type that raises no second one. */
const REPORTED = basic("any");

/** Deeper nesting of declarations than this is a cycle that no value could have. */
const MAX_DEPTH = 64;

/**
 * Resolves type annotations without a type checker, to the extent that Encore's own parser does.
 * What it cannot know is refused, never guessed.
 */
export class TypeResolver {
  readonly #graph: ModuleGraph;
  readonly #faults: FaultList;
  #depth = 0;

  constructor(graph: ModuleGraph, faults: FaultList) {
    this.#graph = graph;
    this.#faults = faults;
  }

  resolve(module: Module, node: TS.TypeNode): Type {
    return this.#type(node, { module, bindings: new Map() });
  }

  /** Opens names until what is left is not a name. */
  underlying(type: Type): Type {
    let current = type;
    for (let hops = 0; current.kind === "named"; hops += 1) {
      if (hops > MAX_DEPTH) return NEVER;
      current = this.#open(current);
    }
    return current;
  }

  #open(type: NamedType): Type {
    if (type.module === null) {
      return utilityType(type.name, type.args, (inner) => this.underlying(inner));
    }
    if (this.#depth > MAX_DEPTH) return unsupported(`type ${type.name} nests without end`);
    this.#depth += 1;
    try {
      return this.#declared(type, type.module);
    } finally {
      this.#depth -= 1;
    }
  }

  #declared(type: NamedType, module: Module): Type {
    let result: Type | null = null;
    for (const node of module.declarations.get(type.name) ?? []) {
      if (ts.isTypeAliasDeclaration(node)) {
        return this.#type(node.type, this.#bind(module, node.typeParameters, type.args));
      }
      if (ts.isInterfaceDeclaration(node)) {
        const place = this.#bind(module, node.typeParameters, type.args);
        const body = this.#interface(node, place);
        result = result === null ? body : intersect(result, body);
      } else if (ts.isEnumDeclaration(node)) return enumType(node);
      else if (ts.isClassDeclaration(node)) {
        return unsupported("class types are not yet supported in schemas");
      }
    }
    return result ?? NEVER;
  }

  #bind(
    module: Module,
    params: readonly TS.TypeParameterDeclaration[] | undefined,
    args: readonly Type[],
  ): Place {
    const bindings = new Map<string, Type>();
    for (const [index, param] of (params ?? []).entries()) {
      const given = args[index];
      if (given !== undefined) bindings.set(param.name.text, given);
      else if (param.default !== undefined) {
        bindings.set(param.name.text, this.#type(param.default, { module, bindings }));
      } else {
        const message = `unresolved generic types are not supported in schemas, got ${param.name.text}`;
        bindings.set(param.name.text, unsupported(message));
      }
    }
    return { module, bindings };
  }

  #interface(node: TS.InterfaceDeclaration, place: Place): Type {
    let result: Type = this.#members(node.members, place);
    for (const clause of node.heritageClauses ?? []) {
      for (const parent of clause.types) {
        const args = (parent.typeArguments ?? []).map((arg) => this.#type(arg, place));
        if (!/^[\w$.]+$/.test(parent.expression.getText())) {
          this.#fault(place, parent, "extends with non-ident type");
          continue;
        }
        const base = this.underlying(
          this.#reference(parent.expression.getText(), args, parent, place),
        );
        result = intersect(result, base);
      }
    }
    return result;
  }

  #members(members: readonly TS.TypeElement[], place: Place): ObjectType {
    const fields: Field[] = [];
    let index: ObjectType["index"] = null;
    for (const member of members) {
      if (ts.isIndexSignatureDeclaration(member)) {
        const key = member.parameters[0]?.type;
        if (key !== undefined) {
          index = { key: this.#type(key, place), value: this.#type(member.type, place) };
        }
      } else if (ts.isPropertySignature(member)) {
        const field = this.#property(member, place);
        if (field !== null) fields.push(field);
      } else if (ts.isMethodSignature(member) && isPlainName(member.name)) {
        fields.push({
          name: member.name.text,
          optional: member.questionToken !== undefined,
          type: unsupported("function types are not supported in schemas"),
          at: positionOf(place.module, member),
        });
      } else {
        this.#fault(place, member, "only properties are supported in object types");
      }
    }
    return { kind: "object", fields, index };
  }

  #property(member: TS.PropertySignature, place: Place): Field | null {
    if (!isPlainName(member.name)) {
      this.#fault(place, member.name, "unsupported property key");
      return null;
    }
    if (member.type === undefined) {
      this.#fault(place, member, "unsupported missing type annotation");
      return null;
    }
    return {
      name: member.name.text,
      optional: member.questionToken !== undefined,
      type: this.#type(member.type, place),
      at: positionOf(place.module, member),
    };
  }

  #type(node: TS.TypeNode, place: Place): Type {
    const keyword = keywordType(node);
    if (keyword !== null) return keyword;
    if (ts.isParenthesizedTypeNode(node)) return this.#type(node.type, place);
    if (ts.isTypeReferenceNode(node)) {
      const args = (node.typeArguments ?? []).map((arg) => this.#type(arg, place));
      return this.#reference(node.typeName.getText(), args, node, place);
    }
    if (ts.isArrayTypeNode(node)) {
      return { kind: "array", element: this.#type(node.elementType, place) };
    }
    if (ts.isLiteralTypeNode(node)) return this.#literal(node.literal, node, place);
    if (ts.isTypeLiteralNode(node)) return this.#members(node.members, place);
    if (ts.isUnionTypeNode(node)) {
      return unionOf(node.types.map((member) => this.#type(member, place)));
    }
    if (ts.isIntersectionTypeNode(node)) {
      return node.types.map((member) => this.#opened(this.#type(member, place))).reduce(intersect);
    }
    return this.#computed(node, place);
  }

  /** Types that are computed from others. */
  #computed(node: TS.TypeNode, place: Place): Type {
    if (ts.isTypeOperatorNode(node)) {
      const of = this.#type(node.type, place);
      return node.operator === ts.SyntaxKind.KeyOfKeyword ? this.#keysOf(of) : of;
    }
    if (ts.isIndexedAccessTypeNode(node)) {
      const object = this.#type(node.objectType, place);
      return this.#indexed(object, this.#type(node.indexType, place), node, place);
    }
    if (ts.isTypeQueryNode(node)) return this.#typeOf(node, place);
    if (ts.isConditionalTypeNode(node)) return this.#conditional(node, place);
    if (ts.isMappedTypeNode(node)) return this.#mapped(node, place);
    if (ts.isTupleTypeNode(node)) {
      return unsupported("tuple types are not yet supported in schemas");
    }
    if (ts.isTemplateLiteralTypeNode(node)) {
      this.#fault(place, node, "template literal expression not yet supported");
      return REPORTED;
    }
    this.#fault(place, node, `unsupported type: ${node.getText()}`);
    return REPORTED;
  }

  /** Aliases of rules and wire types must be open before they are intersected. */
  #opened(type: Type): Type {
    return type.kind === "named" ? this.underlying(type) : type;
  }

  #reference(name: string, args: readonly Type[], node: TS.Node, place: Place): Type {
    const bound = place.bindings.get(name);
    if (bound !== undefined) return bound;
    const meaning = this.#meaning(name, place.module);
    if (meaning === null) return this.#global(name, args, node, place);
    if (meaning.kind === "declared") return this.#namedType(meaning, args, node, place);
    if (meaning.kind === "package") return this.#external(meaning, args, node, place);
    this.#fault(place, this.#importOf(name, place) ?? node, `object not found: ${name}`);
    return REPORTED;
  }

  /** Follows `a.b.C` through namespace imports. */
  #meaning(name: string, module: Module): Meaning | null {
    const [first = "", ...rest] = name.split(".");
    let meaning = this.#graph.lookUp(module, first);
    for (const part of rest) {
      if (meaning?.kind === "module") meaning = this.#graph.exported(meaning.module, part);
      else if (meaning?.kind === "package" && meaning.name === "*") {
        meaning = { ...meaning, name: part };
      } else return { kind: "absent", name };
    }
    return meaning;
  }

  #importOf(name: string, place: Place): TS.Node | undefined {
    return place.module.imports.get(name.split(".")[0] ?? "")?.node;
  }

  #namedType(
    { module, name }: Extract<Meaning, { kind: "declared" }>,
    args: readonly Type[],
    node: TS.Node,
    place: Place,
  ): Type {
    const declaration = module.declarations.get(name)?.[0];
    if (declaration === undefined || isValue(declaration)) {
      this.#fault(place, node, "value used as type");
      return REPORTED;
    }
    return { kind: "named", name, module, args };
  }

  #global(name: string, args: readonly Type[], node: TS.Node, place: Place): Type {
    switch (name) {
      case "Date":
        return basic("date");
      case "Array":
        return { kind: "array", element: args[0] ?? NEVER };
      case "Promise":
        return { kind: "promise", of: args[0] ?? basic("void") };
    }
    if (isUtilityType(name)) return { kind: "named", name, module: null, args };
    this.#fault(place, node, `unknown identifier ${name}`);
    return REPORTED;
  }

  #external(
    meaning: Extract<Meaning, { kind: "package" }>,
    args: readonly Type[],
    node: TS.Node,
    place: Place,
  ): Type {
    const { name } = meaning;
    const known = encoreType(meaning.package, name, args);
    if (known !== null) return known;
    this.#fault(place, this.#importOf(name, place) ?? node, `object not found: ${name}`);
    return REPORTED;
  }

  #literal(literal: TS.LiteralTypeNode["literal"], node: TS.TypeNode, place: Place): Type {
    if (literal.kind === ts.SyntaxKind.NullKeyword) return basic("null");
    if (ts.isNoSubstitutionTemplateLiteral(literal)) {
      this.#fault(place, node, "template literal expression not yet supported");
      return REPORTED;
    }
    return this.#known(valueType(place.module, literal), node, place);
  }

  #known(type: Type | null, node: TS.Node, place: Place): Type {
    if (type !== null) return type;
    this.#fault(place, node, "the type of this value is not supported");
    return REPORTED;
  }

  #typeOf(node: TS.TypeQueryNode, place: Place): Type {
    const meaning = this.#meaning(node.exprName.getText(), place.module);
    if (meaning?.kind === "declared") {
      const declaration = meaning.module.declarations.get(meaning.name)?.[0];
      const isVariable = declaration !== undefined && ts.isVariableDeclaration(declaration);
      if (isVariable && declaration.type !== undefined) {
        return this.#type(declaration.type, { module: meaning.module, bindings: new Map() });
      }
      if (isVariable && declaration.initializer !== undefined) {
        return this.#known(valueType(meaning.module, declaration.initializer), node, place);
      }
    }
    this.#fault(place, node, "unknown identifier");
    return REPORTED;
  }

  #keysOf(type: Type): Type {
    const open = this.underlying(type);
    if (open.kind === "object") {
      return unionOf(open.fields.map(({ name }) => ({ kind: "literal", value: name })));
    }
    if (open.kind === "enum") {
      return unionOf(open.members.map(({ name }) => ({ kind: "literal", value: name })));
    }
    return isBasic(open, "any") ? basic("string") : NEVER;
  }

  #indexed(object: Type, index: Type, node: TS.Node, place: Place): Type {
    const open = this.underlying(object);
    const key = this.underlying(index);
    if (open.kind === "object") {
      const keys = membersOf(key);
      const picked = keys.map((one) => this.#member(open, one));
      if (!picked.includes(null)) return unionOf(picked as Type[]);
    }
    this.#fault(place, node, "unsupported indexed access type operation");
    return REPORTED;
  }

  #member(object: ObjectType, key: Type): Type | null {
    if (key.kind === "literal") {
      const field = object.fields.find(({ name }) => name === key.value);
      if (field === undefined) return object.index?.value ?? NEVER;
      return field.optional ? unionOf([field.type, basic("undefined")]) : field.type;
    }
    return key.kind === "basic" ? (object.index?.value ?? NEVER) : null;
  }

  #conditional(node: TS.ConditionalTypeNode, place: Place): Type {
    const check = this.#type(node.checkType, place);
    const param = ts.isTypeReferenceNode(node.checkType) ? node.checkType.typeName.getText() : "";
    const open = this.underlying(check);
    const distributes = place.bindings.has(param) && open.kind === "union";
    const branches = (distributes ? open.members : [check]).map((member) => {
      const inferred = new Map(place.bindings);
      if (distributes) inferred.set(param, member);
      const fits = this.#extends(member, node.extendsType, inferred, place);
      const branch = fits ? node.trueType : node.falseType;
      return this.#type(branch, { module: place.module, bindings: inferred });
    });
    return unionOf(branches);
  }

  /** Whether `type` fits the pattern; binds the pattern's `infer` names. */
  #extends(type: Type, pattern: TS.TypeNode, inferred: Map<string, Type>, place: Place): boolean {
    if (ts.isInferTypeNode(pattern)) {
      inferred.set(pattern.typeParameter.name.text, type);
      return true;
    }
    const open = this.underlying(type);
    if (ts.isArrayTypeNode(pattern)) {
      return (
        open.kind === "array" && this.#extends(open.element, pattern.elementType, inferred, place)
      );
    }
    const to = this.#type(pattern, { module: place.module, bindings: inferred });
    return assignable(open, to, (inner) => this.underlying(inner));
  }

  #mapped(node: TS.MappedTypeNode, place: Place): Type {
    const constraint = node.typeParameter.constraint;
    if (constraint === undefined || node.type === undefined) {
      this.#fault(place, node, "missing value type annotation");
      return REPORTED;
    }
    const source = ts.isTypeOperatorNode(constraint) ? this.#type(constraint.type, place) : null;
    const open = source === null ? null : this.underlying(source);
    const template = node.type;
    const keys = this.underlying(this.#type(constraint, place));
    const valueOf = (key: Type): Type => {
      const bindings = new Map(place.bindings).set(node.typeParameter.name.text, key);
      return this.#type(template, { module: place.module, bindings });
    };
    const members = membersOf(keys);
    if (members.some((key) => key.kind === "basic" && key.name !== "never")) {
      const key = members[0] as Type;
      return { kind: "object", fields: [], index: { key, value: valueOf(key) } };
    }
    const fields = members.flatMap((key) => {
      if (key.kind !== "literal") return [];
      const from =
        open?.kind === "object" ? open.fields.find(({ name }) => name === key.value) : undefined;
      const type = valueOf(key);
      return [mappedField(String(key.value), type, from, node)];
    });
    return { kind: "object", fields, index: null };
  }

  #fault(place: Place, node: TS.Node, message: string): void {
    this.#faults.add(positionOf(moduleOf(node, place.module), node), message);
  }
}

/** A node's own module may differ from the place that asked for it. */
function moduleOf(node: TS.Node, fallback: Module): Module {
  const file = node.getSourceFile();
  return file === fallback.file ? fallback : { ...fallback, file, path: file.fileName };
}

function unsupported(message: string): Type {
  return { kind: "unsupported", message };
}

function isValue(node: TS.Declaration): boolean {
  return ts.isVariableDeclaration(node) || ts.isFunctionDeclaration(node);
}

function mappedField(
  name: string,
  type: Type,
  from: Field | undefined,
  node: TS.MappedTypeNode,
): Field {
  const marked = node.questionToken?.kind;
  const removes = marked === ts.SyntaxKind.MinusToken;
  const optional = removes ? false : marked !== undefined || (from?.optional ?? false);
  const plain = optional || removes ? dropUndefined(type) : type;
  return { name, type: plain, optional, at: from?.at ?? null };
}
