// The sources explain themselves; what ships is read by compilers. The package carries shaders/ as they are besides.
import { basename } from 'node:path';

/** WGSL without comments, blank lines and indentation. The language has no strings that could hold `//`. */
export function stripWgsl(wgsl) {
  const code = wgsl.replace(/\/\*[\s\S]*?\*\//g, '').split('\n');
  return `${code
    .map((line) => line.replace(/\s*(\/\/.*)?$/, '').trimStart())
    .filter(Boolean)
    .join('\n')}\n`;
}

/** Strips shaders as they are bundled: all of them, or those whose file names `which` matches. */
export function strippedWgsl(which = /\.wgsl$/) {
  return {
    name: 'lloyd-stripped-wgsl',
    apply: 'build',
    transform(code, id) {
      const [file, query] = id.split('?');
      if (query !== 'raw' || !file.endsWith('.wgsl') || !which.test(basename(file))) return undefined;
      const text = JSON.parse(code.slice(code.indexOf('"'), code.lastIndexOf('"') + 1));
      return { code: `export default ${JSON.stringify(stripWgsl(text))}`, map: null };
    },
  };
}
