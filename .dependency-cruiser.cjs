/** Who may import whom: the arrows of docs/architecture.md, as rules. */
const services = "clusters|containers|proxy|dns|migrations";

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "core-is-pure",
      comment: "a core imports its own core and shared/, no packages and nothing of Node's",
      severity: "error",
      from: { path: "^([^/]+)/core/", pathNot: "\\.test\\.ts$" },
      to: { pathNot: "^($1/core/|shared/)" },
    },
    {
      name: "services-meet-at-clients-and-topics",
      comment: "another service is seen through ~encore/clients and its topics.ts only",
      severity: "error",
      from: { path: `^(${services})/` },
      to: { path: `^(${services})/`, pathNot: `^($1/|(${services})/topics\\.ts$)` },
    },
    {
      name: "only-store-knows-db",
      severity: "error",
      from: { path: `^(${services})/`, pathNot: "/(store[^/]*|db)\\.ts$|\\.test\\.ts$" },
      to: { path: "/db\\.ts$" },
    },
    {
      name: "drivers-know-no-service",
      severity: "error",
      from: { path: "^containers/drivers/" },
      to: { path: "^containers/(api|commands|store|db|sweep|tail)[^/]*\\.ts$" },
    },
    {
      name: "shared-is-a-leaf",
      severity: "error",
      from: { path: "^shared/" },
      to: { path: "^[^/]+/", pathNot: "^(shared|node_modules)/" },
    },
    {
      name: "no-service-knows-the-runtime",
      severity: "error",
      from: { path: `^(${services}|shared|cli)/`, pathNot: "\\.mjs$" },
      to: { path: "^runtime/" },
    },
    {
      name: "clients-use-the-public-api",
      comment: "the command line speaks HTTP and DNS, as any other client",
      severity: "error",
      from: { path: "^cli/" },
      to: { path: `^(${services})/` },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "(^|/)(__tests__|build|encore\\.gen|\\.stele|examples)/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
    },
  },
};
