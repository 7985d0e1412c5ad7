const escape = (text) =>
  String(text).replace(
    /[&<>"]/g,
    (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c],
  );

const item = ({ text, at, cluster }) =>
  `<li><span>${escape(text)}</span><small>${escape(at)} · written in ${escape(cluster)}</small></li>`;

export function page({ cluster, generation, newest, total }) {
  const more = total > newest.length ? ` The newest ${newest.length} are shown.` : "";
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notes</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2430; --dim: #66707f; --paper: #f6f5f1; --card: #fff; --accent: #3a6b57; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e9e6df; --dim: #98a0ac; --paper: #15181d; --card: #1e2229; --accent: #7fc1a4; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; display: grid; justify-items: center; padding: 3rem 1.5rem;
         background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
  main { width: min(38rem, 100%); }
  h1 { margin: 0; font-size: 2.1rem; letter-spacing: -.02em; }
  p, small { color: var(--dim); }
  form { display: flex; gap: .6rem; margin: 1.2rem 0 1.6rem; }
  input { flex: 1; min-width: 0; padding: .65rem .8rem; font: inherit; color: inherit; background: var(--card);
          border: 1px solid color-mix(in srgb, var(--dim) 45%, transparent); border-radius: 9px; }
  button { padding: .65rem 1.1rem; font: inherit; font-weight: 600; border: 0; border-radius: 9px;
           color: var(--card); background: var(--accent); cursor: pointer; }
  ul { list-style: none; margin: 0; padding: 0; display: grid; gap: .6rem; }
  li { padding: .8rem 1rem; background: var(--card); border-left: 4px solid var(--accent); border-radius: 9px;
       overflow-wrap: anywhere; }
  li small { display: block; }
</style>
<main>
  <h1>Notes</h1>
  <p>Served by <b>${escape(cluster)}</b>, generation ${escape(generation)}. ${total} on disk.${more}</p>
  <form method="post" action="/notes">
    <input name="text" aria-label="A note" placeholder="Write a note" required autofocus maxlength="2000">
    <button>Keep it</button>
  </form>
  <ul>${newest.map(item).join("")}</ul>
</main>
</html>
`;
}
