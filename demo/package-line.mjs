// How to get the library, for who has seen the page: by package.json, so that neither name nor version is typed twice.
import { readFileSync } from 'node:fs';

const packageJson = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

/** Puts the line in the place of `<!-- package -->`. */
export function packageLine() {
  return {
    name: 'lloyd-package-line',
    transformIndexHtml: (html) => html.replace('<!-- package -->', lineOf(packageJson)),
  };
}

/** Where the source is, if package.json says it, and how to install it. */
export function lineOf({ name, version, repository }) {
  const address = addressOf(repository);
  const source = address
    ? ` The source is at <a href="${address}">${address.replace(/^https:\/\//, '')}</a>.`
    : '';
  return (
    `<p id="install">In your own code: <code>npm run build &amp;&amp; npm pack</code> in a clone, then ` +
    `<code>npm install ../${name}/${name}-${version}.tgz</code> in your project.${source}</p>`
  );
}

/** npm's forms of a repository as an address; null for none that a browser opens. */
function addressOf(repository) {
  const url = typeof repository === 'string' ? repository : repository?.url;
  const short = /^(?:github:)?([\w.-]+\/[\w.-]+)$/.exec(url ?? '');
  if (short) return `https://github.com/${short[1]}`;
  return /^(?:git\+)?(https:\/\/[\w./~-]+?)(?:\.git)?$/.exec(url ?? '')?.[1] ?? null;
}
