// What an editor and a compiler make of the package as npm packs it: TypeScript 5.7, 5.9 and this repository's own.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toolsFolder } from '../../docs/generate/tools.ts';
import { type Consumer, installPacked, isBuilt } from '../support/packed.ts';

const root = join(import.meta.dirname, '../..');
const packageJson = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
const entries = Object.entries<{ types?: string }>(packageJson.exports)
  .filter(([, { types }]) => types)
  .map(([entry]) => entry.replace('.', 'lloyd'));

const tools = isBuilt ? await toolsFolder(root) : null;
const reason = isBuilt ? 'the tools cannot be fetched' : 'dist is not built (npm run build)';
if (!tools) console.log(`declarations.test.ts: ${reason}; 6 tests skipped`);

/** As much of TypeScript 5's own interface as a hover takes. */
interface Compiler {
  SymbolFlags: Record<'Alias' | 'ValueModule' | 'Value', number>;
  createProgram(
    files: string[],
    options: Record<string, unknown>,
  ): {
    getTypeChecker(): Checker;
    getSourceFile(file: string): { statements: { moduleSpecifier: { text: string } }[] };
  };
}
interface Checker {
  getAliasedSymbol(symbol: Exported): Exported;
  getExportsOfModule(module: Exported): Exported[];
  getSymbolAtLocation(node: object): Exported;
}
interface Exported {
  name: string;
  flags: number;
  getJsDocTags(checker: Checker): { name: string }[];
  getDocumentationComment(checker: Checker): unknown[];
}

/** What the compilers differ in: since 6, TypeScript's own DOM has WebGPU, and takes no second one beside it. */
const COMPILERS = [
  { name: 'TypeScript 5.7', compiler: () => join(tools!, 'typescript-5.7'), types: ['@webgpu/types'] },
  { name: 'TypeScript 5.9', compiler: () => join(tools!, 'typescript-5.9'), types: ['@webgpu/types'] },
  { name: "this repository's", compiler: () => join(root, 'node_modules/typescript'), types: [] },
];

describe.skipIf(!tools)('the declarations', () => {
  let consumer: Consumer;
  beforeAll(async () => {
    consumer = await installPacked(['@webgpu/types', '@tensorflow']);
  });
  afterAll(() => consumer?.remove());

  /** What `tsc` says of a module that imports the entries and uses a few of them; nothing where it is content. */
  async function compiled(
    compiler: string,
    imported: readonly string[],
    options: Record<string, unknown>,
  ): Promise<string> {
    const lines = imported.map((name, i) => `import * as m${i} from '${name}';\nexport { m${i} };`);
    const use = [
      `import { createRuntime, type kernels, kmeans, type LloydError } from 'lloyd';`,
      'export async function use(device: GPUDevice, quantize: typeof kernels.quantizeLinear, error: LloydError) {',
      '  const buffer = device.createBuffer({ size: 4, usage: 128 });',
      '  const buffers = { input: buffer, scale: buffer, zeroPoint: buffer, output: buffer };',
      '  (await quantize.create(device)).bind(buffers, { count: 4, axisSize: 1, axisStride: 4 });',
      '  const { codebook } = await kmeans(await createRuntime({ device }), new Float32Array(8), { bits: 4 });',
      '  const codes: Float32Array = codebook;',
      '  // @ts-expect-error every parameter is needed',
      '  (await quantize.create(device)).bind(buffers, { count: 4 });',
      '  return [codes, error.message];',
      '}',
    ];
    const stem = `main-${jobs++}`;
    await writeFile(join(consumer.folder, `${stem}.ts`), [...lines, ...use, ''].join('\n'));
    const compilerOptions = {
      target: 'ES2022',
      module: 'ESNext',
      moduleResolution: 'bundler',
      lib: ['ES2022', 'DOM', 'DOM.Iterable'],
      strict: true,
      noEmit: true,
      // TypeScript's own libraries are none of ours to check, and most of the time that it would take.
      skipDefaultLibCheck: true,
      ...options,
    };
    const project = join(consumer.folder, `${stem}.json`);
    await writeFile(project, JSON.stringify({ compilerOptions, files: [`${stem}.ts`] }));
    const tsc = spawn(process.execPath, [join(compiler, 'bin/tsc'), '-p', project], { cwd: consumer.folder });
    const [output, errors, [status]] = await Promise.all([
      text(tsc.stdout),
      text(tsc.stderr),
      once(tsc, 'close'),
    ]);
    // A compiler that isn't there says nothing on stdout either.
    return status === 0 ? output : output || `exit ${status}: ${errors}`;
  }
  let jobs = 0;

  for (const { name, compiler, types } of COMPILERS) {
    test(`compile with ${name}, strict`, async () => {
      const own = entries.filter((entry) => entry !== 'lloyd/tfjs');
      const said = await Promise.all([
        compiled(compiler(), own, { types, skipLibCheck: false }),
        compiled(compiler(), entries, { types, skipLibCheck: true }),
      ]);
      expect(said).toEqual(['', '']);
    });
  }

  test('compile for Node, and beside tfjs, whose own declarations are what needs skipLibCheck', async () => {
    const compiler = join(root, 'node_modules/typescript');
    const node = { module: 'NodeNext', moduleResolution: 'NodeNext', types: [] };
    expect(await compiled(compiler, entries, { ...node, skipLibCheck: true })).toBe('');
    const said = await compiled(compiler, entries, { types: [], skipLibCheck: false });
    const lines = said.split('\n').filter((line) => /^\S.*error TS/.test(line));
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.filter((line) => line.includes('/lloyd/'))).toEqual([]);
  });

  test('keep the sentence of every export, and the example of every value, for a hover', async () => {
    const ts: Compiler = (
      await import(/* @vite-ignore */ pathToFileURL(join(tools!, 'typescript-5.9/lib/typescript.js')).href)
    ).default;
    const main = join(consumer.folder, 'hover.ts');
    await writeFile(main, entries.map((name) => `import '${name}';`).join('\n'));
    const options = { module: 99, moduleResolution: 100, target: 9, types: [], noLib: true };
    const program = ts.createProgram([main], options);
    const checker = program.getTypeChecker();
    const silent: string[] = [];
    let seen = 0;
    const look = (symbol: Exported, path: string): void => {
      const own = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      // `export * as kernels`: what it holds is what is hovered over.
      if (own.flags & ts.SymbolFlags.ValueModule) {
        for (const member of checker.getExportsOfModule(own)) look(member, `${path}.${member.name}`);
        return;
      }
      seen++;
      const tags = own.getJsDocTags(checker).map(({ name }) => name);
      if (own.getDocumentationComment(checker).length === 0) silent.push(`${path}: no sentence`);
      if (own.flags & ts.SymbolFlags.Value && !tags.includes('example')) silent.push(`${path}: no example`);
    };
    for (const { moduleSpecifier } of program.getSourceFile(main).statements) {
      const entry = checker.getSymbolAtLocation(moduleSpecifier);
      for (const symbol of checker.getExportsOfModule(entry))
        look(symbol, `${moduleSpecifier.text} ${symbol.name}`);
    }
    expect(silent).toEqual([]);
    expect(seen).toBeGreaterThan(250);
  });

  test('resolve for every bundler and for Node, by arethetypeswrong and publint', () => {
    const run = (script: string, ...options: string[]) =>
      spawnSync(process.execPath, [join(tools!, script), ...options], { encoding: 'utf8' });
    const attw = run(
      '@arethetypeswrong/cli/dist/index.js',
      consumer.tarball,
      '--profile',
      'esm-only',
      '--no-color',
    );
    expect(`${attw.stdout}${attw.stderr}`).not.toMatch(/^(node16|bundler).*(💀|⚠️|❌|🚭)/m);
    expect(attw.status).toBe(0);
    const publint = run('publint/src/cli.js', 'run', consumer.tarball, '--strict', '--level', 'suggestion');
    expect(publint.stdout).toContain('All good!');
    expect(publint.status).toBe(0);
  });
});
