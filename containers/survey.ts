import { containerDriver } from "./runner";
import { filesChanged } from "./files";
import { generationDir } from "./host";
import { clusterStore } from "./store";

/** What an evacuation needs to know of a repl before it is its turn. */
export interface Surveyed {
  readonly replId: string;
  readonly running: boolean;
  /** The app wrote into its folder since its release. */
  readonly filesChanged: boolean;
  readonly fileBytes: number;
}

/**
 * The repls that live in a cluster, by id, after `after`. Ends early when `maxMs` are over: folders are
 * read one after the other, so that a move that waits for its own comes between two of them.
 */
export async function survey(
  clusterId: string,
  after: string,
  limit: number,
  maxMs: number,
): Promise<Surveyed[]> {
  const end = performance.now() + maxMs;
  const surveyed: Surveyed[] = [];
  for (const { replId, generation } of await clusterStore(clusterId).homes(after, limit)) {
    if (surveyed.length > 0 && performance.now() > end) break;
    const ref = { clusterId, replId, generation };
    const { changed, bytes } = await filesChanged({ generationDir: generationDir(ref) });
    const running = containerDriver().isRunning(ref);
    surveyed.push({ replId, running, filesChanged: changed, fileBytes: bytes });
  }
  return surveyed;
}
