/**
 * What must be done before the process ends, whoever ends it.
 *
 * Boot and the native module are bundled apart and so have a copy of this file each; the list of
 * hooks is therefore kept on the process, not in the module.
 */
export type ExitHook = (signal: AbortSignal) => void | Promise<void>;

interface Exit {
  readonly hooks: ExitHook[];
  running: Promise<void> | null;
}

const KEY = Symbol.for("stele.runtime.exit");

/** Longest that all hooks together may take: Ctrl-C ends everything within 5 s. */
export const EXIT_BUDGET_MS = 4_000;

function exit(): Exit {
  const holder = globalThis as { [KEY]?: Exit };
  return (holder[KEY] ??= { hooks: [], running: null });
}

/**
 * Has `hook` called when the process ends, in the reverse order of registration: what was started
 * last is stopped first, so Postgres outlives everything that talks to it. Returns its removal.
 */
export function onExit(hook: ExitHook): () => void {
  const { hooks } = exit();
  hooks.push(hook);
  return () => {
    const at = hooks.indexOf(hook);
    if (at >= 0) hooks.splice(at, 1);
  };
}

/**
 * Calls every hook once, one after the other, and waits for each at most until the budget is spent;
 * then its signal aborts and the next is called. Never rejects: a hook that fails must not keep the
 * others from running. A call while they run waits for them.
 */
export function runExitHooks(budgetMs = EXIT_BUDGET_MS): Promise<void> {
  const state = exit();
  state.running ??= runAll(state.hooks, AbortSignal.timeout(budgetMs)).finally(() => {
    state.running = null;
  });
  return state.running;
}

async function runAll(hooks: ExitHook[], signal: AbortSignal): Promise<void> {
  for (let hook = hooks.pop(); hook; hook = hooks.pop()) {
    try {
      await Promise.race([hook(signal), aborted(signal)]);
    } catch (error) {
      process.stderr.write(`A step of the shutdown failed: ${(error as Error).message}\n`);
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
