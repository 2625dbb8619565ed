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

test('the reader and the writer add less than 48 kB to a script', async () => {
  const graph =
    `import { compile } from '${root}/src/model/session.ts'; window.compile = compile;` +
    `import { quantizeModel } from '${root}/src/model/precision.ts'; window.quantizeModel = quantizeModel;`;
  const files = ['read-onnx', 'write-onnx', 'supported-nodes'].map((name) => `'${root}/src/onnx/${name}.ts'`);
  const onnx = files.map((file, i) => `import * as m${i} from ${file}; window.m${i} = m${i};`);
  const [without, withOnnx] = [await bundled(graph), await bundled([graph, ...onnx].join('\n'))];
  console.log(`bundle: ${without} bytes, with ONNX in and out ${withOnnx - without} more`);
  expect(withOnnx - without).toBeGreaterThan(10_000);
  // The aim is 40 kB: the formats of quantized networks went beyond it.
  expect(withOnnx - without).toBeLessThan(48_000);
});
