// Writes the table of settings into README.md, from the tables that the rooms read. Part of `npm run fix`.
import { readFileSync, writeFileSync } from "node:fs";

import { load } from "../runtime/load.mjs";

const { settingsMarkdown } = await load("laptop/settings-table.ts", "build/scripts");
const readme = readFileSync("README.md", "utf8");
const between = /(<!-- settings:[^>]*-->\n)[\s\S]*?(<!-- end of settings -->)/;
writeFileSync("README.md", readme.replace(between, `$1\n${settingsMarkdown()}\n\n$2`));
