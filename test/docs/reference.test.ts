// The reference builds without a warning, every kernel has a page with what its shader's header and declaration say, and
// no link is dead, here or in the repository's own pages.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { headerOf, kernelPage } from '../../docs/generate/kernel-page.ts';
import { deadLinks, filesOf } from '../../docs/generate/links.ts';
import { buildSite } from '../../docs/generate/site.ts';
import { entryPoints, publicExports } from '../../docs/generate/surface.ts';
import { toolsFolder } from '../../docs/generate/tools.ts';
import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import * as kernels from '../../src/kernels/index.ts';

const root = join(import.meta.dirname, '../..');
const out = join(root, 'test/output/docs');
const tools = await toolsFolder(root);
if (!tools) console.log('reference.test.ts: TypeDoc cannot be fetched; 4 tests skipped');

describe.skipIf(!tools)('npm run docs', () => {
  let complaints: string[];
  beforeAll(async () => {
    complaints = await buildSite(root, tools!, out);
    return () => rm(out, { recursive: true, force: true });
  });

  test('ends without a warning or a dead link', () => expect(complaints).toEqual([]));

  test('has a page for every entry point, by the name that is imported', async () => {
    const contents = await readFile(join(out, 'modules.html'), 'utf8');
    for (const { entry } of entryPoints(root)) expect(contents.includes(`>${entry}<`), entry).toBe(true);
  });

  test('has a page for every kernel: contract, buffers, params, overrides, example', async () => {
    for (const [name, { declaration }] of Object.entries(kernels as unknown as Record<string, Kernel>)) {
      const html = await readFile(join(out, `documents/Kernels.${declaration.name}.html`), 'utf8');
      const { bindings, params, overrides = {} } = declaration;
      const wanted = [
        ...[...Object.keys(bindings), ...Object.keys(params)].map((each) => `<code>${each}</code>`),
        ...Object.keys(overrides),
        `variables/lloyd_kernels.${name}.html`,
      ];
      expect(wanted.filter((each) => !html.includes(each))).toEqual([]);
      // Without the spans that colour an example.
      expect(html.replace(/<[^>]+>/g, '').includes(`${name}.create(`), name).toBe(true);
    }
  });

  test('has a page for every export', async () => {
    const pages = filesOf(out, '.html').map((file) => file.slice(file.lastIndexOf('/') + 1));
    const all = publicExports(root).filter(({ name }) => !name.includes('.'));
    const missing = all.filter(({ declared, name }) => {
      return !pages.some((page) => page.endsWith(`.${name}.html`) || page.endsWith(`.${declared}.html`));
    });
    expect(missing.map(({ entry, name }) => `${entry} ${name}`)).toEqual([]);
  });
});

describe('links', () => {
  test('of the repository’s pages lead somewhere', () => {
    const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'weights/README.md'];
    const files = [...pages.map((page) => join(root, page)), ...filesOf(join(root, 'docs'), '.md')].filter(
      (file) => !file.includes('/dist/'),
    );
    expect(deadLinks(files, root)).toEqual([]);
  });

  test('that lead nowhere are found', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lloyd-links-'));
    try {
      await writeFile(
        join(folder, 'a.md'),
        '# One two\n[x](#one-two) [y](#three) [z](b.md) [c](a.html#here)\n`[no](no.md)`',
      );
      await writeFile(
        join(folder, 'a.html'),
        '<p id="here"><a href="a.html#here"></a><a href="a.html#there"></a>',
      );
      expect(deadLinks([join(folder, 'a.md'), join(folder, 'a.html')], folder)).toEqual([
        'a.md: #three',
        'a.md: b.md',
        'a.html: a.html#there',
      ]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

test('a kernel’s page: the header as it stands, with what Markdown would take for markup escaped', () => {
  const kernel = defineKernel({
    name: 'own-kernel',
    wgsl: [
      '// Doubles a_b * c_d <here>.\n//\n//   y = 2 * x\n//\n// buffer  shape\n// input   any\n//\n// One thread.\n\nconst TILE: u32 = 4u;\n',
    ],
    bindings: { input: { access: 'read', type: 'f32' }, output: { access: 'write', type: 'f32' } },
    params: { count: 'u32' },
    overrides: { SIZE: { default: 64, allowed: [32, 64] } },
    constants: { TILE: ['4u', '8u'] },
    workgroups: () => 1,
  }) as unknown as Kernel;
  expect(headerOf(kernel.declaration.wgsl[0])).toHaveLength(8);
  const page = kernelPage({ name: 'own', kernel, sentence: 'Doubles.', examples: ['own();'] });
  for (const line of [
    'Doubles a\\_b \\* c\\_d \\<here\\>.',
    '| 1 | `input` | read | `array<f32>` |',
    '```text\nbuffer  shape\ninput   any\n```',
    '| `count` | `u32` |',
    '| `SIZE` | override | `64` | `32` `64` |',
    '| `TILE` | alias or const | `4u` | `4u` `8u` |',
    '```text\n  y = 2 * x\n```',
    'One thread.',
    '```ts\nown();\n```',
  ])
    expect(page).toContain(line);
});
