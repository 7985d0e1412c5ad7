// Boots the application in the folder given as an argument, as a launcher does.
import { join } from "node:path";

import { load } from "../load.mjs";

const [root, listen] = process.argv.slice(2);
try {
  const { boot } = await load("runtime/boot.ts", "build/testing/boot");
  const { address } = await boot({
    root,
    stateDir: join(root, "state"),
    listen,
    log: "error",
    secrets: { Greeting: "hello" },
    ...(process.env.DATABASE_URL ? { databaseUrl: process.env.DATABASE_URL } : {}),
  });
  console.log(`ready ${address}`);
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
