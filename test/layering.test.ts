// Imports run one way: cli, demo, bench -> train, onnx, tfjs -> run -> lower -> model -> tune, graph -> quantize -> conv -> kernels -> gpu;
// io and reference apart.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What each room may import from, besides itself. */
const CHAIN = [
  'gpu',
  'kernels',
  'conv',
  'quantize',
  'graph',
  'tune',
  'model',
  'lower',
  'run',
  'train',
  'onnx',
  'tfjs',
];
const ROOMS: Record<string, readonly string[]> = {
  gpu: [],
  reference: [],
  io: ['gpu'],
  kernels: ['gpu'],
  conv: ['gpu', 'kernels', 'reference'],
  quantize: ['gpu', 'kernels', 'conv', 'reference'],
  graph: ['gpu', 'kernels', 'conv', 'quantize', 'reference'],
  tune: ['gpu', 'kernels', 'conv'],
  model: ['gpu', 'kernels', 'conv', 'quantize', 'graph', 'reference', 'io'],
  lower: ['gpu', 'kernels', 'conv', 'quantize', 'graph', 'model', 'reference', 'io'],
  run: ['gpu', 'kernels', 'conv', 'quantize', 'graph', 'tune', 'model', 'lower', 'reference', 'io'],
  train: [...CHAIN, 'reference', 'io'],
  onnx: [...CHAIN, 'reference', 'io'],
  tfjs: [...CHAIN, 'reference', 'io'],
  node: ['gpu', 'io'],
  index: [...CHAIN, 'reference', 'io'],
  cli: [...CHAIN, 'reference', 'io', 'node', 'index', 'bench'],
  demo: [...CHAIN, 'reference', 'io', 'index', 'bench'],
  bench: [...CHAIN, 'reference', 'io', 'node', 'index', 'cli'],
};
/** Of gpu/, io sees errors, how they show a value, and the tensor type only: it reads files without a device. */
const IO_MAY_SEE = ['src/gpu/describe.ts', 'src/gpu/errors.ts', 'src/gpu/tensor.ts'];
const MAY_USE_NODE = ['node', 'cli', 'bench'];

function typescript(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && !entry.name.endsWith('.d.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

const sources = new Map(
  ['src', 'demo', 'bench'].flatMap(typescript).map((file) => [file, readFileSync(join(root, file), 'utf8')]),
);

/** The room of a file: its folder under src/, `demo`, `bench`, or `index` for src/index.ts and its like. */
function roomOf(file: string): string {
  const [top, second] = file.split('/');
  if (top !== 'src') return top;
  return second.endsWith('.ts') ? 'index' : second;
}

interface Import {
  specifier: string;
  typeOnly: boolean;
}

/** Static imports, re-exports and `import()` of a source, comments left out. */
function importsOf(source: string): Import[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const statics = [
    ...code.matchAll(/^\s*(?:import|export)\s+(type\s)?(?:[\w*{][^;'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm),
  ];
  const dynamic = [...code.matchAll(/\bimport\(\s*['"]([^'"]+)['"]/g)];
  return [
    ...statics.map(([, type, specifier]) => ({ specifier, typeOnly: type !== undefined })),
    ...dynamic.map(([, specifier]) => ({ specifier, typeOnly: false })),
  ];
}

/** Every import of `file` that its room does not allow. */
function violations(file: string, source: string): string[] {
  const room = roomOf(file);
  const found: string[] = [];
  for (const { specifier } of importsOf(source)) {
    if (specifier.startsWith('node:') && !MAY_USE_NODE.includes(room))
      found.push(`${file} uses ${specifier}`);
    if (!specifier.startsWith('.') || specifier.includes('.wgsl')) continue;
    const target = join(dirname(file), specifier);
    const other = roomOf(target);
    const allowed = other === room || ROOMS[room]?.includes(other);
    if (!allowed || (room === 'io' && other === 'gpu' && !IO_MAY_SEE.includes(target))) {
      found.push(`${file} imports ${target}`);
    }
  }
  return found;
}

/** Cycles among imports that exist at run time, each as the files along it. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: string[]) => {
    const at = trail.indexOf(file);
    if (at >= 0) found.push([...trail.slice(at), file]);
    if (at >= 0 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

describe('imports', () => {
  test('every room is known', () => {
    const unknown = [...sources.keys()].filter((file) => !(roomOf(file) in ROOMS));
    expect(unknown).toEqual([]);
  });

  test('run one way, and node: modules stay in node/, cli/ and bench/', () => {
    expect([...sources].flatMap(([file, source]) => violations(file, source))).toEqual([]);
  });

  test('make no cycle', () => {
    const graph = new Map(
      [...sources].map(([file, source]) => {
        const local = importsOf(source).filter(
          ({ specifier, typeOnly }) => specifier.startsWith('.') && !typeOnly,
        );
        return [file, local.map(({ specifier }) => join(dirname(file), specifier))];
      }),
    );
    expect(cycles(graph)).toEqual([]);
  });

  test('name files that exist, with their extension', () => {
    const missing = [...sources].flatMap(([file, source]) =>
      importsOf(source)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .map(({ specifier }) => join(dirname(file), specifier.replace(/\?\w+$/, '')))
        .filter((target) => !existsSync(join(root, target)))
        .map((target) => `${file} -> ${target}`),
    );
    expect(missing).toEqual([]);
  });
});

describe('the rules themselves', () => {
  const wrongs: [string, string][] = [
    ['src/gpu/kernel.ts', "import { kmeans } from '../quantize/kmeans.ts';"],
    ['src/kernels/conv2d.ts', "import { conv2d } from '../reference/conv2d.ts';"],
    ['src/reference/conv2d.ts', "import type { Runtime } from '../gpu/runtime.ts';"],
    ['src/io/safetensors.ts', "import { createRuntime } from '../gpu/runtime.ts';"],
    ['src/quantize/kmeans.ts', "import {\n  vgg,\n} from '../model/vgg.ts';"],
    ['src/model/vgg.ts', "export * from '../cli/main.ts';"],
    ['src/onnx/index.ts', "const fs = await import('node:fs');"],
    ['demo/main.ts', "import '../src/node/device.ts';"],
  ];
  for (const [file, source] of wrongs) {
    test(`catch ${file}: ${source.replace(/\s+/g, ' ')}`, () =>
      expect(violations(file, source)).toHaveLength(1));
  }

  test('leave comments and allowed imports alone', () => {
    const source =
      "/** @example\n * import { x } from '../model/vgg.ts';\n */\n// import '../cli/main.ts';\n";
    expect(violations('src/gpu/kernel.ts', source)).toEqual([]);
    expect(
      violations('src/quantize/kmeans.ts', "import { kmeansAssign } from '../kernels/kmeans-assign.ts';"),
    ).toEqual([]);
  });

  test('find a cycle', () => {
    const graph = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['b']],
    ]);
    expect(cycles(graph)).toEqual([['b', 'c', 'b']]);
  });
});
