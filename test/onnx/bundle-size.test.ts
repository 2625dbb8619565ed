// What reading and writing ONNX costs a page that quantizes and runs networks already.
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** Bytes of a page's minified script. */
async function bundled(source: string): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'lloyd-size-'));
  try {
    const input = join(folder, 'main.js');
    await writeFile(input, source);
    await build({
      root,
      configFile: false,
      logLevel: 'error',
      publicDir: false,
      resolve: {
        alias: [
          { find: '#default-device', replacement: join(root, 'src/gpu/default-device.ts') },
          {
            find: /^@bufbuild\/protobuf/,
            replacement: join(root, 'node_modules/@bufbuild/protobuf/dist/esm'),
          },
        ],
      },
      build: { outDir: join(folder, 'dist'), minify: true, rolldownOptions: { input } },
    });
    const assets = join(folder, 'dist/assets');
    const sizes = (await readdir(assets)).map(async (name) => (await stat(join(assets, name))).size);
    return (await Promise.all(sizes)).reduce((a, b) => a + b, 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Bytes that importing files of `src/onnx` adds to a page that imports these already. */
async function added(page: string, files: readonly string[]): Promise<number> {
  const onnx = files.map(
    (file, i) => `import * as m${i} from '${root}/src/onnx/${file}.ts'; window.m${i} = m${i};`,
  );
  return (await bundled([page, ...onnx].join('\n'))) - (await bundled(page));
}

test('the reader and the encoder add less than 38 kB to a script', async () => {
  const page = `import { concreteGraph } from '${root}/src/graph/concrete.ts'; window.concreteGraph = concreteGraph;`;
  const bytes = await added(page, ['read-onnx', 'encode-model', 'supported-nodes']);
  console.log(`bundle: a graph in and out adds ${bytes} bytes`);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(38_000);
});

test('with the formats of quantized networks they add less than 48 kB to a page that quantizes', async () => {
  const page =
    `import { compile } from '${root}/src/run/session.ts'; window.compile = compile;` +
    `import { quantizeModel } from '${root}/src/run/precision.ts'; window.quantizeModel = quantizeModel;`;
  const bytes = await added(page, ['read-onnx', 'write-onnx', 'supported-nodes']);
  console.log(`bundle: quantized networks in and out add ${bytes} bytes`);
  expect(bytes).toBeGreaterThan(10_000);
  expect(bytes).toBeLessThan(48_000);
});
