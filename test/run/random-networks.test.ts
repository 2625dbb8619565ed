// Networks that nobody drew: float ones held to their definition in float64, integer ones to the twins of their kernels.
import { expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { decodeCodebook } from '../../src/lower/layer-codes.ts';
import type { ImageModel, ImageNode, ImageShape } from '../../src/model/graph.ts';
import { inferShapes } from '../../src/model/graph.ts';
import { type CodebookLayer } from '../../src/model/quantized-model.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { definedOutput } from '../support/defined-output.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { seeded, THOROUGH, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
/** Seven of them a second on lavapipe; `LLOYD_NETWORKS` says another number. */
const COUNT = Number(process.env.LLOYD_NETWORKS ?? (THOROUGH ? 1000 : 12));

type Random = ReturnType<typeof seeded>;

/** A chain with branches that meet again in sums and concatenations; every operator that a graph takes. */
function randomModel(random: Random, index: number): ImageModel {
  const pick = <T>(values: readonly T[]): T => values[random.integer(0, values.length - 1)];
  const input = {
    name: 'image',
    height: random.integer(3, 11),
    width: random.integer(3, 11),
    channels: pick([1, 2, 3, 4, 5, 8]),
  };
  const nodes: ImageNode[] = [];
  const parameters = new Map<
    string,
    ImageModel['parameters'] extends ReadonlyMap<string, infer T> ? T : never
  >();
  const graphOf = (output: string) => ({ name: `random ${index}`, input, nodes, output });
  const shapeOf = (name: string): ImageShape => inferShapes(graphOf(name)).get(name)!;
  const put = (name: string, dims: number[], scale: number, offset = 0) => {
    const data = random.floats(dims.reduce((a, b) => a * b)).map((value) => value * scale + offset);
    parameters.set(name, { dtype: 'float32', dims, data });
  };
  const add = (node: ImageNode) => {
    nodes.push(node);
    return node.name;
  };
  let serial = 0;
  const named = (op: string) => `${op}${serial++}`;
  const conv = (from: string, outChannels: number, same = false): string => {
    const { height, width, channels } = shapeOf(from);
    const groups = pick([1, 1, 1, 2, channels].filter((g) => channels % g === 0 && outChannels % g === 0));
    const size = (length: number) => (same ? pick([1, 3]) : random.integer(1, Math.min(4, length)));
    const kernel = [size(height), size(width)] as const;
    const around = (k: number) => (same ? (k - 1) / 2 : random.integer(0, k - 1));
    const pads = [around(kernel[0]), around(kernel[1]), around(kernel[0]), around(kernel[1])] as const;
    const strides = same ? ([1, 1] as const) : ([random.integer(1, 2), random.integer(1, 2)] as const);
    const name = named('conv');
    put(
      `${name}.weight`,
      [outChannels, channels / groups, ...kernel],
      1 / Math.sqrt((channels / groups) * kernel[0] * kernel[1]),
    );
    if (random.next() < 0.6) put(`${name}.bias`, [outChannels], 0.3);
    return add({ op: 'conv2d', name, inputs: [from], kernel, outChannels, pads, strides, groups });
  };
  const norm = (from: string): string => {
    const name = named('norm');
    const { channels } = shapeOf(from);
    put(`${name}.weight`, [channels], 0.4, 1);
    put(`${name}.bias`, [channels], 0.3);
    put(`${name}.running_mean`, [channels], 0.3);
    const data = random.floats(channels).map((value) => 0.2 + Math.abs(value));
    parameters.set(`${name}.running_var`, { dtype: 'float32', dims: [channels], data });
    return add({ op: 'batchNorm', name, inputs: [from] });
  };
  let now = 'image';
  for (let step = random.integer(1, 6); step > 0; step--) {
    const { height, width, channels } = shapeOf(now);
    switch (pick(['conv', 'conv', 'norm', 'relu', 'relu6', 'identity', 'pool', 'sum', 'concat'] as const)) {
      case 'conv':
        now = conv(now, pick([1, 3, 4, 6, 8, 12]));
        break;
      case 'norm':
        now = norm(now);
        break;
      case 'relu':
      case 'relu6':
      case 'identity': {
        const op = pick(['relu', 'relu6', 'identity'] as const);
        now = add({ op, name: named(op), inputs: [now] });
        break;
      }
      case 'pool': {
        const op = pick(['maxPool', 'averagePool'] as const);
        const kernel = [
          random.integer(1, Math.min(3, height)),
          random.integer(1, Math.min(3, width)),
        ] as const;
        const pads = [random.integer(0, kernel[0] - 1), random.integer(0, kernel[1] - 1), 0, 0] as const;
        const strides = [random.integer(1, 2), random.integer(1, 2)] as const;
        now = add({ op, name: named(op), inputs: [now], kernel, strides, pads });
        break;
      }
      case 'sum':
        now = add({ op: 'add', name: named('add'), inputs: [now, conv(now, channels, true)] });
        break;
      case 'concat':
        now = add({ op: 'concat', name: named('concat'), inputs: [now, conv(now, pick([1, 4, 5]), true)] });
        break;
    }
  }
  if (random.next() < 0.5) {
    if (random.next() < 0.5) now = add({ op: 'globalAveragePool', name: named('mean'), inputs: [now] });
    now = add({ op: 'flatten', name: named('flatten'), inputs: [now] });
    const { height, width, channels } = shapeOf(now);
    const name = named('linear');
    put(`${name}.weight`, [5, height * width * channels], 1 / Math.sqrt(height * width * channels));
    put(`${name}.bias`, [5], 0.3);
    now = add({ op: 'linear', name, inputs: [now], outFeatures: 5 });
  } else now = conv(now, 4);
  if (random.next() < 0.2) now = add({ op: 'relu', name: named('relu'), inputs: [now] });
  return { graph: graphOf(now), parameters };
}

async function outputOf(model: Parameters<typeof compile>[1], images: Float32Array): Promise<Float32Array> {
  const session = await compile(gpu.runtime, model, { batch: 2 });
  try {
    return await session.run(images);
  } finally {
    session.destroy();
  }
}

function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  const largest = Math.max(1e-3, ...Array.from(expected, Math.abs));
  return Math.max(...Array.from(expected, (value, i) => Math.abs(actual[i] - value))) / largest;
}

test(`${COUNT} random networks: float as defined, codebooks as decoded, integers as their twins`, async () => {
  let [float, codebook, integer] = [0, 0, 0];
  const refused = new Map<string, number>();
  const tried = async (run: () => Promise<void>) => {
    try {
      await run();
      return 1;
    } catch (error) {
      // What a graph cannot take is a sentence; anything else is a fault.
      if (!(error instanceof LloydError)) throw error;
      refused.set(error.rule, (refused.get(error.rule) ?? 0) + 1);
      return 0;
    }
  };
  for (let index = 0; index < COUNT; index++) {
    const random = seeded(1000 + index);
    const model = randomModel(random, index);
    const { height, width, channels } = model.graph.input;
    const images = random.floats(3 * height * width * channels, 1);
    const where = `random ${index}: ${model.graph.nodes.map(({ op }) => op).join(' ')}`;
    float += await tried(async () => {
      expect(distance(await outputOf(model, images), definedOutput(model, images)), where).toBeLessThan(1e-5);
    });
    codebook += await tried(async () => {
      const quantized = await quantizeModel(gpu.runtime, model, { method: 'kmeans', bits: 4 });
      const decoded = new Map(model.parameters);
      for (const [name, layer] of quantized.layers) {
        const { dims } = model.parameters.get(`${name}.weight`)!;
        decoded.set(`${name}.weight`, {
          dtype: 'float32',
          dims,
          data: decodeCodebook(layer as CodebookLayer),
        });
      }
      const want = definedOutput({ ...model, parameters: decoded }, images);
      expect(distance(await outputOf(quantized, images), want), `${where}, codebooks`).toBeLessThan(1e-5);
    });
    integer += await tried(async () => {
      const bits = random.integer(2, 8);
      const quantized = await quantizeModel(gpu.runtime, model, {
        method: 'linear',
        bits,
        calibration: images,
      });
      const got = await outputOf(quantized, images);
      expect([...got], `${where}, ${bits} bits`).toEqual([...int8Logits(quantized, images)]);
    });
  }
  console.log(
    `${float} float, ${codebook} codebook, ${integer} integer of ${COUNT} networks;`,
    Object.fromEntries(refused),
  );
  // Most of what is drawn runs at every precision, or the test shows little.
  expect(Math.min(float, codebook, integer)).toBeGreaterThan(COUNT * 0.7);
}, 3_600_000);
