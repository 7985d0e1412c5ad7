const escape = (text) =>
  String(text).replace(
    /[&<>"]/g,
    (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c],
  );

/** The page: rendered with the facts of the moment, then kept up to date over /events. */
export function page({ cluster, generation, served, startedAt }) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hello from ${escape(cluster)}</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2430; --dim: #66707f; --paper: #f6f5f1; --card: #fff; --accent: #b4552d; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e9e6df; --dim: #98a0ac; --paper: #15181d; --card: #1e2229; --accent: #e58a5f; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
         background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
  main { width: min(34rem, 100%); padding: 2.5rem; border-radius: 14px; background: var(--card);
         border-top: 5px solid var(--accent); box-shadow: 0 12px 40px rgb(0 0 0 / .09); }
  h1 { margin: 0 0 .4rem; font-size: 2.1rem; letter-spacing: -.02em; }
  h1 b { color: var(--accent); }
  p { margin: 0 0 1.4rem; color: var(--dim); }
  dl { display: grid; grid-template-columns: auto 1fr; gap: .35rem 1.4rem; margin: 0; }
  dt { color: var(--dim); }
  dd { margin: 0; font-variant-numeric: tabular-nums; }
</style>
<main>
  <h1>Hello from <b id="cluster">${escape(cluster)}</b></h1>
  <p>Move this app to another cluster and watch this page: it stays, and the name changes.</p>
  <dl>
    <dt>Generation</dt><dd id="generation">${escape(generation)}</dd>
    <dt>Started</dt><dd>${escape(startedAt)}</dd>
    <dt>Requests served</dt><dd>${escape(served)}</dd>
    <dt>Live</dt><dd id="live">connecting</dd>
  </dl>
</main>
<script>
  const show = (id, text) => { document.getElementById(id).textContent = text; };
  const events = new EventSource("/events");
  events.onmessage = ({ data }) => {
    const { cluster, generation, at } = JSON.parse(data);
    show("cluster", cluster);
    show("generation", generation);
    show("live", "last heard " + new Date(at).toLocaleTimeString());
    document.title = "Hello from " + cluster;
  };
  events.onerror = () => show("live", "reconnecting");
</script>
</html>
`;
}
