import {
  chmodSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

import { failpointSync } from "../shared/failpoint";
import {
  difference,
  type Difference,
  type Entry,
  type Manifest,
  stampOf,
  totalBytes,
} from "./core/manifest";
import { type Arrived, arrivedIn, noteArrived, noteArriving, writeWhole } from "./file-arrived";
import { copyContent } from "./file-content";
import {
  forgetMark,
  keptFor,
  markSettled,
  type Settled,
  settledOf,
  unsureOfKept,
} from "./file-kept";
import { type Looked, lookAt } from "./file-look";
import { bytesOf, hashOfPath, inside, shown } from "./file-names";
import { filesOf, isGone, look, manifestOf, removeOdd } from "./file-tree";

/**
 * One round of a copy: makes an app's folder what another holds now. What is to be done, and how it is
 * put in its place, is the same wherever the files come from: a folder beside it, or another cluster
 * (`file-draw.ts`). Extended attributes are not kept.
 */

/** Where files go, and whose they will be. */
export interface Place {
  readonly generationDir: string;
  /** Null: whoever runs the platform. */
  readonly uid: number | null;
}

/** What half of a change has been done when its files can come. */
export interface Prepared {
  /** To be brought by `putFile`. */
  readonly files: readonly Entry[];
  /** Further names of files, made by `settle`. */
  readonly names: readonly Entry[];
  /** Set by `settle`, in this order. */
  readonly modes: readonly Entry[];
}

const draftsOf = (generationDir: string): string => join(generationDir, "partial");

/** Where a file is until it is whole: outside of the app's folder, and found again after a crash. */
export function draftOf({ generationDir }: Place, path: string): string {
  return join(draftsOf(generationDir), hashOfPath(path));
}

function own(path: string | Buffer, { uid }: Place): void {
  if (uid !== null) lchownSync(path, uid, uid);
}

const isShut = ({ type, mode }: Entry): boolean => type === "directory" && (mode & 0o700) !== 0o700;

/** A path of the app, at its place. */
const at = ({ generationDir }: Place, path: string): string | Buffer =>
  inside(filesOf(generationDir), path);

/** Takes away what is in the way, makes folders and links; `there` is what the place holds. */
export function prepare(change: Difference, there: Manifest, place: Place): Prepared {
  mkdirSync(draftsOf(place.generationDir), { recursive: true, mode: 0o700 });
  // Not everybody is root: what is in a folder that may not be written to changes all the same.
  const shut = there.filter(isShut);
  for (const { path } of shut) chmodSync(at(place, path), 0o700);
  for (const path of change.remove) rmSync(at(place, path), { recursive: true, force: true });
  const folders = change.write.filter(({ type }) => type === "directory");
  for (const { path } of folders) {
    mkdirSync(at(place, path), { mode: 0o700 });
    own(at(place, path), place);
  }
  for (const entry of change.write.filter(({ type }) => type === "link")) putLink(entry, place);
  const handled = new Set([...change.remove, ...change.chmod.map(({ path }) => path)]);
  const reopened = shut.filter(({ path }) => !handled.has(path));
  // From the inside out: one that may not be entered gets what is in it first.
  const modes = [...change.chmod, ...folders, ...reopened].sort((a, b) =>
    a.path < b.path ? 1 : -1,
  );
  return {
    files: change.write.filter(({ type }) => type === "file"),
    names: change.write.filter(({ type }) => type === "name"),
    modes,
  };
}

function putLink({ path, target }: Entry, place: Place): void {
  const draft = draftOf(place, path);
  rmSync(draft, { force: true });
  symlinkSync(bytesOf(target), draft);
  own(draft, place);
  renameSync(draft, at(place, path));
}

/** Puts a whole draft in its place. Its owner first: giving it away takes some of its mode. */
export function putFile({ path, mode, mtimeMs }: Entry, place: Place): void {
  const draft = draftOf(place, path);
  own(draft, place);
  chmodSync(draft, mode);
  // Half a millisecond on, since the time travels as a floating-point number of seconds.
  const seconds = (mtimeMs + 0.5) / 1000;
  utimesSync(draft, seconds, seconds);
  renameSync(draft, at(place, path));
}

function putName({ path, target }: Entry, place: Place): void {
  const draft = draftOf(place, path);
  rmSync(draft, { force: true });
  try {
    linkSync(at(place, target), draft);
  } catch (error) {
    // Its file went away while the app runs: the next round's to see.
    if (isGone(error)) return;
    throw error;
  }
  renameSync(draft, at(place, path));
}

export function settle({ names, modes }: Prepared, place: Place): void {
  for (const name of names) putName(name, place);
  for (const { path, mode } of modes) chmodSync(at(place, path), mode);
  forgetMark(place.generationDir);
  rmSync(draftsOf(place.generationDir), { recursive: true, force: true });
}

/** Copies files of a folder to their place; those that are gone are named to `onGone`. */
export function bring(
  files: readonly Entry[],
  from: string,
  place: Place,
  onGone: (error: unknown, entry: Entry) => void,
): void {
  const drafts = draftsOf(place.generationDir);
  rmSync(drafts, { recursive: true, force: true });
  mkdirSync(drafts, { mode: 0o700 });
  for (const entry of files) {
    try {
      copyContent(from, entry.path, draftOf(place, entry.path), at(place, entry.path));
    } catch (error) {
      if (!isGone(error)) throw error;
      onGone(error, entry);
      continue;
    }
    putFile(entry, place);
  }
}

export interface Copied {
  readonly files: number;
  readonly bytes: number;
  readonly changedFiles: number;
  readonly changedBytes: number;
  /** Read, and to be read again by the next round: writes into them might not have shown. */
  readonly unsettledBytes: number;
  /** What could not be copied, since it is no file, folder or link. */
  readonly special: readonly string[];
}

export function summary(
  manifest: Manifest,
  changed: readonly Entry[],
  special: readonly string[],
): Copied {
  return {
    files: manifest.length,
    bytes: totalBytes(manifest),
    changedFiles: changed.length,
    changedBytes: totalBytes(changed),
    unsettledBytes: 0,
    special,
  };
}

/** What a source holds, and since when it is more than a copy. */
export interface Source extends Looked {
  readonly settled: Settled | null;
}

export interface Round extends Prepared {
  readonly source: Source;
  readonly copied: Copied;
  readonly before: Arrived["seen"];
  /** Of what was there; what is not among them is as it was. */
  readonly removed: readonly string[];
  readonly touched: ReadonlySet<string>;
  /** Files that may be the ones that are there; those to be brought are `files`. */
  readonly trusted: ReadonlySet<string>;
}

const stepOf = (final: boolean): "copy_files" | "copy_delta" =>
  final ? "copy_delta" : "copy_files";

/** A generation's folder lies in its repl's. */
const replOf = ({ generationDir }: Place): string => basename(dirname(generationDir));

/** Finds out what is to be done, and prepares it. */
export function beginRound(source: Source, place: Place, final: boolean): Round {
  const { manifest, special } = source;
  const leftFor = keptFor(place.generationDir);
  if (leftFor !== null) removeOdd(filesOf(place.generationDir));
  const { there, seen } = arrivedIn(place.generationDir);
  const change = difference(manifest, there);
  const written = new Set(change.write.map(({ path }) => path));
  const mayDiffer =
    leftFor === null
      ? manifest.filter(({ type }) => type === "file")
      : unsureOfKept(manifest, leftFor, source.settled);
  const doubtful = mayDiffer.filter((entry) => seen.get(entry.path) !== stampOf(entry));
  const late = doubtful.filter(({ path }) => !written.has(path));
  const content = new Set([...written, ...late.map(({ path }) => path)]);
  // A file that is brought is another one: its further names are made anew.
  const names = manifest.filter(
    ({ type, path, target }) => type === "name" && (written.has(path) || content.has(target)),
  );
  const changed = [...change.chmod, ...names, ...there.filter(isShut)].map(({ path }) => path);
  const touched = new Set([...content, ...change.remove, ...changed]);
  noteArriving(place.generationDir, touched);
  const prepared = prepare(change, there, place);
  failpointSync(`containers.${stepOf(final)}.prepared`, replOf(place));
  const trusted = new Set<string>();
  if (leftFor !== null) {
    for (const { path, type } of manifest) {
      if (type === "file" && !content.has(path)) trusted.add(path);
    }
  }
  return {
    ...prepared,
    files: [...prepared.files, ...late],
    names,
    source,
    before: seen,
    removed: change.remove,
    touched,
    trusted,
    copied: summary(manifest, [...change.write, ...late], special),
  };
}

/** All files have come, but those that went away while the app runs. */
export function endRound(round: Round, place: Place, final: boolean, came: Came): Copied {
  failpointSync(`containers.${stepOf(final)}.brought`, replOf(place));
  settle(round, place);
  if (final) {
    verifyRound(round, place);
    return round.copied;
  }
  return { ...round.copied, unsettledBytes: keepRound(round, place, came) };
}

/** Whether the content of a file came in this round. */
export type Came = (path: string) => boolean;

/** Remembers what has come; answers how many bytes must be read again. */
export function keepRound(round: Round, { generationDir }: Place, came: Came): number {
  const { source, before, trusted } = round;
  const wasRead: Came = (path) => came(path) || trusted.has(path);
  const seen = noteArrived(generationDir, source, before, wasRead);
  return totalBytes(source.manifest.filter(({ type, path }) => type === "file" && !seen.has(path)));
}

/** What the last round has touched must be as the source says, or it throws. The rest was compared. */
function verifyRound({ source: { manifest }, touched, removed }: Round, place: Place): void {
  const files = filesOf(place.generationDir);
  const wanted = manifest.filter(({ path }) => touched.has(path));
  const found = wanted.map((entry) => {
    const now = look(files, entry.path);
    return entry.type === "name" && now?.type === "file" ? asName(files, entry, now) : now;
  });
  const { write, chmod } = difference(
    wanted,
    found.filter((entry) => entry !== null),
  );
  const paths = new Set(wanted.map(({ path }) => path));
  const tooMuch = removed.find((path) => !paths.has(path) && look(files, path) !== null);
  const first = write[0]?.path ?? chmod[0]?.path ?? tooMuch;
  if (first !== undefined) throw new Error(`the copy differs from its source in "${shown(first)}"`);
  markSettled(place.generationDir);
}

/** A further name is one when it names the same inode. */
function asName(files: string, name: Entry, { inode }: Entry): Entry | null {
  return look(files, name.target)?.inode === inode ? name : null;
}

export interface CopyJob extends Place {
  readonly kind: "copy";
  readonly fromDir: string;
  /** The source has stopped writing: afterwards both must be equal, or it throws. */
  readonly final: boolean;
}

/** One round, from a folder of this machine. */
export function copy({ fromDir, generationDir, uid, final }: CopyJob): Copied {
  const place = { generationDir, uid };
  const round = beginRound(
    { ...lookAt(fromDir, final), settled: settledOf(fromDir) },
    place,
    final,
  );
  const gone = new Set<string>();
  bring(round.files, filesOf(realpathSync(fromDir)), place, (error, { path }) => {
    // A file that went away while the app runs is the next round's to see.
    if (final) throw error;
    gone.add(path);
  });
  copyManifest(fromDir, generationDir);
  const came = new Set(round.files.map(({ path }) => path).filter((path) => !gone.has(path)));
  return endRound(round, place, final, (path) => came.has(path));
}

function copyManifest(fromDir: string, generationDir: string): void {
  const [from, to] = [manifestOf(fromDir), manifestOf(generationDir)];
  if (!existsSync(from)) return;
  const text = readFileSync(from, "utf8");
  if (!existsSync(to) || readFileSync(to, "utf8") !== text) writeWhole(to, text);
}
