import { join } from "node:path";

import { boot } from "./boot";
import { findApp, HELP, readOptions, sdkVersion } from "./command-options";
import { SDK_VERSION } from "./sdk-version";

/** `stele-runtime`: runs one application in the foreground. Ends by signals, which the runtime obeys. */
export async function main(argv: readonly string[], folder: string): Promise<void> {
  const { help, ...options } = readOptions(argv, process.env);
  if (help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const root = findApp(folder);
  const sdk = sdkVersion(root);
  if (`v${sdk}` !== SDK_VERSION) {
    process.stderr.write(
      `The application has encore.dev ${sdk}: this runtime is made for ${SDK_VERSION.slice(1)}\n`,
    );
  }
  const { address } = await boot({ stateDir: join(root, ".stele"), ...options, root });
  process.stdout.write(`Listening on http://${address}; Ctrl-C stops\n`);
}
