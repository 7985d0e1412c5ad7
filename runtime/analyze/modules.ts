import { readFileSync } from "node:fs";
import { join } from "node:path";
import type * as TS from "typescript";
import type { SourcePosition } from "../app-model";
import type { FaultList } from "./faults";
import { SpecifierResolver, type Resolved } from "./resolve-specifier";
import { UNIVERSE, UNIVERSE_PATH } from "./universe";
import { ts } from "./typescript";

/** A name that an import statement binds. */
export interface ImportedName {
  readonly specifier: string;
  /** The exporter's name for it; `*` is the whole module. */
  readonly name: string;
  readonly typeOnly: boolean;
  readonly node: TS.Node;
}

export interface Module {
  /** Relative to the application's root. */
  readonly path: string;
  readonly file: TS.SourceFile;
  readonly imports: ReadonlyMap<string, ImportedName>;
  /** Top-level declarations by name; an interface declared twice has two. */
  readonly declarations: ReadonlyMap<string, readonly TS.Declaration[]>;
  /** Exported name to what it stands for in this module. */
  readonly exports: ReadonlyMap<string, ExportedName>;
  /** Specifiers of `export * from`. */
  readonly exportStars: readonly string[];
}

/** `local` is a name of this module, or, with `from`, a name of the module that `from` names. */
export interface ExportedName {
  readonly local: string;
  readonly from: string | null;
}

/** What a name stands for once imports and re-exports have been followed. */
export type Meaning =
  | { readonly kind: "declared"; readonly module: Module; readonly name: string }
  | { readonly kind: "module"; readonly module: Module }
  | { readonly kind: "package"; readonly package: string; readonly name: string }
  | { readonly kind: "generated"; readonly part: "clients" | "auth"; readonly name: string }
  | { readonly kind: "absent"; readonly name: string };

const PARSE_OPTIONS = {
  languageVersion: ts.ScriptTarget.ES2022,
  jsDocParsingMode: ts.JSDocParsingMode.ParseNone,
};

/** Follows chains of re-exports no further than this: a cycle must end. */
const MAX_EXPORT_HOPS = 32;

/** Loads, parses and links the application's modules. */
export class ModuleGraph {
  readonly #root: string;
  readonly #faults: FaultList;
  readonly #resolver: SpecifierResolver;
  readonly #modules = new Map<string, Module | null>();
  /** Where the names are declared that every module knows. */
  readonly universe: Module;

  constructor(root: string, faults: FaultList) {
    this.#root = root;
    this.#faults = faults;
    this.#resolver = new SpecifierResolver(root, faults);
    const file = ts.createSourceFile(UNIVERSE_PATH, UNIVERSE, PARSE_OPTIONS, true);
    this.universe = { path: UNIVERSE_PATH, file, ...collectNames(file) };
  }

  /** @returns null when the file cannot be parsed; the fault has then been noted */
  load(path: string): Module | null {
    const known = this.#modules.get(path);
    if (known !== undefined) return known;
    const module = this.#parse(path);
    this.#modules.set(path, module);
    return module;
  }

  resolve(from: Module, specifier: string): Resolved {
    return this.#resolver.resolve(from.path, specifier);
  }

  /** Notes a fault for each import of a module that leads nowhere. */
  checkImports(module: Module): void {
    for (const statement of module.file.statements) {
      if (!ts.isImportDeclaration(statement) || isTypeOnly(statement)) continue;
      if (statement.importClause?.phaseModifier === ts.SyntaxKind.DeferKeyword) {
        this.#faults.add(
          positionOf(module, statement),
          "Encore does not know import defer: write a plain import, or import() where it is needed",
        );
      }
      const specifier = (statement.moduleSpecifier as TS.StringLiteral).text;
      const target = this.resolve(module, specifier);
      // Files that the walk leaves out are read where they are imported.
      if (target.kind === "source") this.load(target.path);
      if (target.kind === "missing") {
        this.#faults.add(
          positionOf(module, statement),
          `module "${specifier}" not found: expected a file, an installed package or a path of tsconfig.json`,
        );
      }
    }
  }

  /** What `name`, used in `module`, stands for; null when the module does not know it. */
  lookUp(module: Module, name: string): Meaning | null {
    if (module.declarations.has(name)) return { kind: "declared", module, name };
    const imported = module.imports.get(name);
    if (imported === undefined) return null;
    return this.#imported(module, imported.specifier, imported.name, 0);
  }

  /** What another module gets when it imports `name` from this one. */
  exported(module: Module, name: string): Meaning {
    return this.#exported(module, name, 0) ?? { kind: "absent", name };
  }

  #imported(from: Module, specifier: string, name: string, hops: number): Meaning {
    const target = this.resolve(from, specifier);
    switch (target.kind) {
      case "package":
        return { kind: "package", package: target.name, name };
      case "generated":
        return { kind: "generated", part: target.part, name };
      case "asset":
      case "missing":
        return { kind: "absent", name };
      case "source": {
        const module = this.load(target.path);
        if (module === null) return { kind: "absent", name };
        if (name === "*") return { kind: "module", module };
        return this.#exported(module, name, hops + 1) ?? { kind: "absent", name };
      }
    }
  }

  #exported(module: Module, name: string, hops: number): Meaning | null {
    if (hops > MAX_EXPORT_HOPS) return null;
    const found = module.exports.get(name);
    if (found !== undefined) {
      if (found.from !== null) return this.#imported(module, found.from, found.local, hops);
      return this.lookUp(module, found.local);
    }
    for (const specifier of module.exportStars) {
      const meaning = this.#imported(module, specifier, name, hops);
      if (meaning.kind !== "absent") return meaning;
    }
    return null;
  }

  #parse(path: string): Module | null {
    const text = readFileSync(join(this.#root, path), "utf8");
    const file = ts.createSourceFile(path, text, PARSE_OPTIONS, true);
    const broken = (file as unknown as { parseDiagnostics: readonly TS.Diagnostic[] })
      .parseDiagnostics;
    for (const diagnostic of broken) {
      const { line } = file.getLineAndCharacterOfPosition(diagnostic.start ?? 0);
      const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, " ");
      this.#faults.add({ file: path, line: line + 1 }, message);
    }
    if (broken.length > 0) return null;
    return { path, file, ...collectNames(file) };
  }
}

export function positionOf(module: Module, node: TS.Node): SourcePosition {
  const { line } = module.file.getLineAndCharacterOfPosition(node.getStart(module.file));
  return { file: module.path, line: line + 1 };
}

/** Every identifier that a binding name introduces. */
export function boundNames(name: TS.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) =>
    ts.isOmittedExpression(element) ? [] : boundNames(element.name),
  );
}

function isTypeOnly(statement: TS.ImportDeclaration): boolean {
  return statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

type Names = Pick<Module, "imports" | "declarations" | "exports" | "exportStars">;

function collectNames(file: TS.SourceFile): Names {
  const imports = new Map<string, ImportedName>();
  const declarations = new Map<string, TS.Declaration[]>();
  const exports = new Map<string, ExportedName>();
  const exportStars: string[] = [];
  const declare = (name: string, node: TS.Declaration): void => {
    const known = declarations.get(name);
    if (known === undefined) declarations.set(name, [node]);
    else known.push(node);
  };
  for (const statement of file.statements) {
    if (ts.isImportDeclaration(statement)) collectImports(statement, imports);
    else if (ts.isExportDeclaration(statement)) collectExports(statement, exports, exportStars);
    else if (ts.isExportAssignment(statement) && ts.isIdentifier(statement.expression)) {
      exports.set("default", { local: statement.expression.text, from: null });
    } else if (ts.isExportAssignment(statement)) {
      exports.set("default", { local: "default", from: null });
      declare("default", statement);
    } else collectDeclarations(statement, declare, exports);
  }
  return { imports, declarations, exports, exportStars };
}

function collectImports(statement: TS.ImportDeclaration, into: Map<string, ImportedName>): void {
  const clause = statement.importClause;
  if (clause === undefined) return;
  const specifier = (statement.moduleSpecifier as TS.StringLiteral).text;
  const typeOnly = isTypeOnly(statement);
  const bind = (local: TS.Identifier, name: string, alone: boolean, node: TS.Node): void => {
    into.set(local.text, { specifier, name, typeOnly: typeOnly || alone, node });
  };
  if (clause.name !== undefined) bind(clause.name, "default", false, clause);
  const named = clause.namedBindings;
  if (named === undefined) return;
  if (ts.isNamespaceImport(named)) bind(named.name, "*", false, named);
  else {
    for (const element of named.elements) {
      bind(element.name, (element.propertyName ?? element.name).text, element.isTypeOnly, element);
    }
  }
}

function collectExports(
  statement: TS.ExportDeclaration,
  exports: Map<string, ExportedName>,
  stars: string[],
): void {
  const from = statement.moduleSpecifier;
  const specifier = from === undefined ? null : (from as TS.StringLiteral).text;
  const clause = statement.exportClause;
  if (clause === undefined) {
    if (specifier !== null) stars.push(specifier);
  } else if (ts.isNamespaceExport(clause)) {
    exports.set(clause.name.text, { local: "*", from: specifier });
  } else {
    for (const element of clause.elements) {
      const local = (element.propertyName ?? element.name).text;
      exports.set(element.name.text, { local, from: specifier });
    }
  }
}

function collectDeclarations(
  statement: TS.Statement,
  declare: (name: string, node: TS.Declaration) => void,
  exports: Map<string, ExportedName>,
): void {
  const exported = hasModifier(statement, ts.SyntaxKind.ExportKeyword);
  const isDefault = hasModifier(statement, ts.SyntaxKind.DefaultKeyword);
  const add = (name: string, node: TS.Declaration): void => {
    declare(name, node);
    if (exported) exports.set(isDefault ? "default" : name, { local: name, from: null });
  };
  if (ts.isVariableStatement(statement)) {
    for (const declaration of statement.declarationList.declarations) {
      for (const name of boundNames(declaration.name)) add(name, declaration);
    }
  } else if (isNamedDeclaration(statement)) {
    add(statement.name?.text ?? "default", statement);
    if (ts.isModuleDeclaration(statement)) collectNamespace(statement, declare);
  }
}

/** What a namespace exports is declared as `Namespace.Name`. */
function collectNamespace(
  node: TS.ModuleDeclaration,
  declare: (name: string, node: TS.Declaration) => void,
): void {
  if (node.body === undefined || !ts.isModuleBlock(node.body)) return;
  for (const statement of node.body.statements) {
    if (!hasModifier(statement, ts.SyntaxKind.ExportKeyword)) continue;
    const inner = (name: string, declaration: TS.Declaration): void =>
      declare(`${node.name.text}.${name}`, declaration);
    collectDeclarations(statement, inner, new Map());
  }
}

type NamedStatement =
  | TS.InterfaceDeclaration
  | TS.TypeAliasDeclaration
  | TS.EnumDeclaration
  | TS.ClassDeclaration
  | TS.FunctionDeclaration
  | TS.ModuleDeclaration;

function isNamedDeclaration(statement: TS.Statement): statement is NamedStatement {
  return (
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isEnumDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isFunctionDeclaration(statement) ||
    ts.isModuleDeclaration(statement)
  );
}

export function hasModifier(node: TS.Node, kind: TS.SyntaxKind): boolean {
  return (
    ts.canHaveModifiers(node) &&
    (ts.getModifiers(node) ?? []).some((modifier) => modifier.kind === kind)
  );
}
