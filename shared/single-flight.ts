/** Callers that ask for the same key while a call for it runs share that call and its outcome. */
export function singleFlight<Key, Value>(
  call: (key: Key) => Promise<Value>,
): (key: Key) => Promise<Value> {
  const running = new Map<Key, Promise<Value>>();
  return (key) => {
    const shared = running.get(key);
    if (shared) return shared;
    const started = call(key).finally(() => running.delete(key));
    running.set(key, started);
    return started;
  };
}
