import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** A name that an entry point of package.json exports, and what its docstring says. */
export interface PublicExport {
  /** As a user imports it: `lloyd/onnx`. */
  entry: string;
  /** `kernels.add` of a namespace. */
  name: string;
  /** Its name where it is declared. */
  declared: string;
  isValue: boolean;
  /** Where it is declared, from the clone's folder. */
  file: string;
  /** The docstring's text before its first tag; empty where there is none. */
  sentence: string;
  examples: string[];
}

/** Every entry point with declarations, as a user imports it, and its source. */
export function entryPoints(root: string): { entry: string; source: string }[] {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return Object.entries<{ types?: string }>(exports).flatMap(([path, { types }]) =>
    types
      ? [
          {
            entry: path.replace('.', name),
            source: types.replace(/^\.\/dist\/types\//, '').replace(/\.d\.ts$/, '.ts'),
          },
        ]
      : [],
  );
}

/** What the entry points export, by their sources: needs no compiler, and knows re-exports and `export * as`. */
export function publicExports(root: string): PublicExport[] {
  return entryPoints(root).flatMap(({ entry, source }) =>
    exportsOf(join(root, source)).map(({ file, ...own }) => ({ entry, file: relative(root, file), ...own })),
  );
}

type Found = Omit<PublicExport, 'entry'>;

function exportsOf(file: string): Found[] {
  const text = readFileSync(file, 'utf8');
  const found: Found[] = [];
  for (const [, list, specifier] of text.matchAll(/^export (?:type )?\{([^}]*)\} from '([^']+)';/gm)) {
    const target = join(dirname(file), specifier);
    for (const item of list.split(',')) {
      const [, local, name = local] = /^\s*(?:type )?(\w+)(?: as (\w+))?\s*$/.exec(item) ?? [];
      if (local) found.push({ ...declarationOf(target, local), name });
    }
  }
  for (const [, space, specifier] of text.matchAll(/^export \* as (\w+) from '([^']+)';/gm)) {
    for (const member of exportsOf(join(dirname(file), specifier)))
      found.push({ ...member, name: `${space}.${member.name}` });
  }
  return found;
}

/** A name's declaration, followed through the modules that pass it on. */
function declarationOf(file: string, name: string): Found {
  const text = readFileSync(file, 'utf8');
  const own = new RegExp(
    `(/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/\\n)?export (?:declare )?(?:async )?(function\\*?|const|class|interface|type) ${name}\\b`,
  ).exec(text);
  if (own) {
    const isValue = !['interface', 'type'].includes(own[2]);
    return { name, declared: name, isValue, file, ...docstring(own[1] ?? '') };
  }
  const passed = exportsOf(file).find((each) => each.name === name);
  if (passed) return passed;
  // `import type { X } from './y.ts'; export type { X };`
  const imported = [...text.matchAll(/^import (?:type )?\{([^}]*)\} from '([^']+)';/gm)].find(([, list]) =>
    new RegExp(`\\b${name}\\b`).test(list),
  );
  const target = imported && join(dirname(file), imported[2]);
  if (!target || !existsSync(target)) throw new Error(`${file} exports ${name}, which is declared nowhere`);
  return declarationOf(target, name);
}

/** A docstring's sentence and examples, without its stars. */
function docstring(comment: string): Pick<PublicExport, 'sentence' | 'examples'> {
  const lines = comment
    .replace(/^\/\*\*|\*\/\s*$/g, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''));
  const [text, ...tags] = lines.join('\n').split(/^\s*@/m);
  const examples = tags
    .filter((tag) => /^example\b/.test(tag))
    .map((tag) => tag.replace(/^example\s*/, '').trim());
  return { sentence: text.trim(), examples };
}
