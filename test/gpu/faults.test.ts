import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { conv2dInt8 } from '../../src/conv/conv-int8.ts';
import { prepareMatmulInt8 } from '../../src/conv/prepare-int8.ts';
import { DeviceLostError, LloydError } from '../../src/gpu/errors.ts';
import { createRuntime, type Runtime } from '../../src/gpu/runtime.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { runOperator } from '../../src/onnx/index.ts';
import { kmeans, kmeansDequantize } from '../../src/quantize/kmeans.ts';
import { linearDequantize, linearQuantize } from '../../src/quantize/linear.ts';
import { compareModel } from '../../src/run/compare.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { finetune, train } from '../../src/train/index.ts';
import { collectGarbage } from '../support/collect.ts';
import { FAULTS, type Fault, faultyDevice } from '../support/faulty-device.ts';
import { seeded, THOROUGH } from '../support/runtime.ts';
import { smallModel, stripes } from '../support/small-model.ts';

const HANGS_AFTER_MS = 20_000;
/** Devices that may wait to be collected: hundreds at once kept the process still for 21 s, and a call seemed to hang. */
const MOST_DEVICES = 16;
/**
 * Calls that each kind of fault strikes, of each operation: a few, more in `npm run test:all`, and with
 * `LLOYD_FAULTS=all`, which takes hours on a software adapter, every one.
 */
const WHOLE = process.env.LLOYD_FAULTS === 'all';
const SAMPLE = WHOLE ? Number.POSITIVE_INFINITY : THOROUGH ? 3 : 2;

const random = seeded(5);
const weights = random.floats(700);
const { images: pixels } = stripes(3);
const network = smallModel();
const codes = (dims: number[]) => ({
  dtype: 'int8' as const,
  dims,
  data: random.int8s(dims.reduce((a, b) => a * b)),
});
const [image, filter, matrix] = [codes([1, 6, 5, 7]), codes([5, 7, 3, 3]), codes([6, 9])];
/** Codes to whole words. */
const padded = (given: Int8Array) => {
  const words = new Int8Array(Math.ceil(given.length / 4) * 4);
  words.set(given);
  return words;
};
/** Two inputs, two outputs, rows of any number. */
const pair: GraphModel = {
  graph: {
    name: 'pair',
    opset: 21,
    inputs: ['a', 'b'].map((name) => ({ name, dtype: 'float32', shape: ['rows', 4] })),
    outputs: ['sum', 'scores'],
    nodes: [
      { op: 'MatMul', name: 'product', inputs: ['a', 'w'], outputs: ['product'], attributes: {} },
      { op: 'MatMul', name: 'other', inputs: ['b', 'w'], outputs: ['other'], attributes: {} },
      { op: 'Add', name: 'sum', inputs: ['product', 'other'], outputs: ['sum'], attributes: {} },
      { op: 'Softmax', name: 'scores', inputs: ['sum'], outputs: ['scores'], attributes: { axis: -1 } },
    ],
  },
  parameters: new Map([['w', { dtype: 'float32', dims: [4, 3], data: random.floats(12) }]]),
};
const feedOf = (rows: number): Record<string, OnnxTensor> =>
  Object.fromEntries(
    ['a', 'b'].map((name, i) => [
      name,
      { dtype: 'float32', dims: [rows, 4], data: weights.slice(i * 40, i * 40 + rows * 4) },
    ]),
  );
let int8: QuantizedModel;
let palette: QuantizedModel;

/** Every public call that takes a runtime, small; what it gives is compared with an undisturbed run's. */
const operations: Record<string, (runtime: Runtime) => Promise<unknown>> = {
  kmeans: (runtime) => kmeans(runtime, weights, { bits: 2, init: 'quantile', maxIterations: 6 }),
  'kmeans, optimal': (runtime) => kmeans(runtime, weights, { bits: 3, init: 'optimal' }),
  kmeansDequantize: (runtime) =>
    kmeansDequantize(runtime, { codes: Uint8Array.of(0, 1, 1), codebook: Float32Array.of(-1, 2) }),
  linearQuantize: (runtime) => linearQuantize(runtime, weights, { bits: 4, shape: [7, 100], axis: 0 }),
  linearDequantize: (runtime) =>
    linearDequantize(runtime, {
      codes: Int8Array.of(1, -2, 3),
      bits: 8,
      shape: [3],
      axis: null,
      groupSize: null,
      scale: Float32Array.of(0.5),
      zeroPoint: Int32Array.of(0),
    } as never),
  conv2dInt8: (runtime) => conv2dInt8(runtime, image, filter),
  'conv2dInt8, on the GPU': (runtime) =>
    runtime.scope(async ({ upload, keep }) => {
      const onGpu = { dtype: 'int8', dims: image.dims, buffer: upload(padded(image.data)) } as const;
      const { buffer } = await conv2dInt8(runtime, onGpu, filter);
      return new Int32Array(await runtime.read(keep(buffer as GPUBuffer)));
    }),
  'linearQuantize, on the GPU': (runtime) =>
    runtime.scope(async ({ upload, keep }) => {
      const onGpu = { dtype: 'float32', dims: [7, 100], buffer: upload(weights) } as const;
      const { codes: left, scale } = await linearQuantize(runtime, onGpu, { bits: 4, axis: 0 });
      return [new Int8Array(await runtime.read(keep(left))), scale];
    }),
  'kmeans, on the GPU': (runtime) =>
    runtime.scope(async ({ upload, keep }) => {
      const onGpu = { dtype: 'float32', dims: [700], buffer: upload(weights) } as const;
      const { codes: left, codebook } = await kmeans(runtime, onGpu, { bits: 2, init: 'quantile' });
      return [new Uint8Array(await runtime.read(keep(left))), codebook];
    }),
  prepareMatmulInt8: (runtime) =>
    runtime.scope(async ({ upload, empty, keep }) => {
      const product = keep(await prepareMatmulInt8(runtime, matrix, { rows: 5 }));
      const output = empty(product.output.byteLength);
      const given = {
        codes: upload(padded(image.data.subarray(0, 30))),
        input: empty(product.input.byteLength),
      };
      const packed = keep(await product.packInput(given));
      runtime.submit([packed, ...product.bind({ input: given.input, output }).map(keep)]);
      return new Int32Array(await runtime.read(output));
    }),
  runOperator: (runtime) =>
    runOperator(runtime, 'DynamicQuantizeLinear', [{ dtype: 'float32', dims: [700], data: weights }]),
  'quantizeModel, k-means': (runtime) => quantizeModel(runtime, network, { method: 'kmeans', bits: 2 }),
  'quantizeModel, linear': (runtime) =>
    quantizeModel(runtime, network, { method: 'linear', bits: 8, calibration: pixels }),
  'run, float32': (runtime) => logits(runtime, network),
  'run, int8': (runtime) => logits(runtime, int8),
  'run, codebooks': (runtime) => logits(runtime, palette),
  'run, by name': async (runtime) => {
    const session = await compile(runtime, pair);
    try {
      // The second call is of other sizes: a program of its own.
      const [known, other] = [await session.run(feedOf(2)), await session.run(feedOf(3))];
      return [known, other];
    } finally {
      session.destroy();
    }
  },
  encode: async (runtime) => {
    const session = await compile(runtime, pair);
    try {
      return await runtime.scope(async (scope) => {
        const inputs = Object.fromEntries(
          Object.entries(feedOf(2)).map(([name, { data }]) => [name, scope.upload(data as Float32Array)]),
        );
        const outputs = { sum: scope.empty(2 * 3 * 4), scores: scope.empty(2 * 3 * 4) };
        runtime.record((encoder) => session.encode(encoder, inputs, outputs));
        const read = async (buffer: GPUBuffer) => new Float32Array(await runtime.read(buffer));
        return [await read(outputs.sum), await read(outputs.scores)];
      });
    } finally {
      session.destroy();
    }
  },
  'encode, images': async (runtime) => {
    const session = await compile(runtime, int8, { batch: 3 });
    try {
      return await runtime.scope(async (scope) => {
        const [{ name }] = session.inputs;
        const [output] = session.outputs;
        const given = scope.upload(Float32Array.from(pixels, (pixel) => pixel / 255));
        const scores = scope.empty(3 * session.classes * 4);
        runtime.record((encoder) => session.encode(encoder, { [name]: given }, { [output.name]: scores }));
        return new Float32Array(await runtime.read(scores));
      });
    } finally {
      session.destroy();
    }
  },
  recover: async (runtime) => {
    const session = await compile(runtime, pair);
    try {
      await session.recover(runtime);
      return await session.run(feedOf(2));
    } finally {
      session.destroy();
    }
  },
  compareModel: async (runtime) => {
    const { rows } = await compareModel(runtime, network, pixels, Uint8Array.of(1, 2, 3), {
      calibration: pixels,
      rows: ['kmeans-2', 'linear-8'],
    });
    return rows.map(({ name, accuracy, logitSqnrDb }) => [name, accuracy, logitSqnrDb]);
  },
  profile: async (runtime) => {
    const session = await compile(runtime, int8, { batch: 1 });
    try {
      return (await session.profile(pixels))?.map(({ kernel }) => kernel);
    } finally {
      session.destroy();
    }
  },
  tuning: async (runtime) => {
    const store = { read: async () => null, write: async () => undefined };
    const session = await compile(runtime, int8, { batch: 1, tune: { budgetMs: 1, store } });
    try {
      return await session.run(pixels);
    } finally {
      session.destroy();
    }
  },
  train: async (runtime) => {
    const labels = Uint8Array.of(1, 2, 3);
    const { log } = await train(
      runtime,
      network,
      { images: pixels, labels },
      { steps: 2, batch: 2, average: 0.9 },
    );
    return log.map(({ loss }) => loss);
  },
  finetune: async (runtime) => {
    const labels = Uint8Array.of(1, 2, 3);
    const options = { steps: 1, batch: 2, reassignEvery: 1, reestimate: 2 };
    return (await finetune(runtime, palette, { images: pixels, labels }, options)).step;
  },
};

async function logits(runtime: Runtime, model: ImageModel | QuantizedModel) {
  const session = await compile(runtime, model, { batch: 1 });
  try {
    return await session.run(pixels);
  } finally {
    session.destroy();
  }
}

const unhandled: unknown[] = [];
const listen = (reason: unknown) => void unhandled.push(reason);
beforeAll(async () => {
  process.on('unhandledRejection', listen);
  const runtime = await createRuntime();
  int8 = await quantizeModel(runtime, network, { method: 'linear', bits: 4, calibration: pixels });
  palette = await quantizeModel(runtime, network, { method: 'kmeans', bits: 2 });
  runtime.destroy();
});
afterAll(() => void process.off('unhandledRejection', listen));

/** How a call ended: its result as text, or its error. */
async function ending(work: Promise<unknown>): Promise<{ value?: string; error?: unknown }> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it hangs')), HANGS_AFTER_MS);
  });
  try {
    return { value: text(await Promise.race([work, hang])) };
  } catch (error) {
    return { error };
  } finally {
    clearTimeout(timer);
  }
}

const text = (value: unknown) =>
  JSON.stringify(value, (_, part) =>
    part instanceof Map ? [...part] : ArrayBuffer.isView(part) ? Array.from(part as Uint8Array) : part,
  );

let devices = 0;
async function disturbed(name: string, fault: Fault, at: number) {
  const faulty = await faultyDevice();
  const runtime = await createRuntime({ device: faulty.device });
  faulty.strike(fault, at);
  const result = await ending(operations[name](runtime));
  // What ran beside the call that failed may end a moment later.
  for (let i = 0; i < 20 && faulty.alive > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  const { struck, alive } = faulty;
  faulty.device.destroy();
  if (++devices % MOST_DEVICES === 0) collectGarbage();
  return { ...result, struck, alive };
}

describe.each(Object.keys(operations))('%s on a failing device', (name) => {
  test('gives a LloydError or the right result, whatever fails, and frees what it made', {
    timeout: WHOLE ? 0 : 3_600_000,
  }, async () => {
    const faulty = await faultyDevice();
    const calm = await createRuntime({ device: faulty.device });
    const { value: want, error: calmly } = await ending(operations[name](calm));
    expect(calmly).toBeUndefined();
    faulty.device.destroy();

    let tried = 0;
    let errors = 0;
    for (const fault of FAULTS) {
      const counter = await faultyDevice();
      const runtime = await createRuntime({ device: counter.device });
      counter.strike(fault, Number.POSITIVE_INFINITY);
      await operations[name](runtime);
      const { calls } = counter;
      counter.device.destroy();
      const points = Array.from({ length: calls }, (_, i) => i);
      const some = spread(points, SAMPLE);
      for (const at of some) {
        const { value, error, struck, alive } = await disturbed(name, fault, at);
        const where = `${fault} at call ${at} of ${calls} (${struck})`;
        // What a timer measures decides how many calls tuning makes.
        if (struck === null && name === 'tuning') continue;
        tried++;
        if (error !== undefined) errors++;
        if (error === undefined) expect(value, where).toBe(want);
        else expect(error, where).toBeInstanceOf(LloydError);
        if (fault.startsWith('lost') && error) expect(error, where).toBeInstanceOf(DeviceLostError);
        expect(alive, `${where}: buffers left`).toBe(0);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(unhandled).toEqual([]);
    console.log(
      `${name}: ${tried} faults, ${errors} LloydErrors, ${tried - errors} without effect, 0 others`,
    );
  });
});

function spread<T>(values: readonly T[], count: number): T[] {
  if (values.length <= count) return [...values];
  return Array.from(
    { length: count },
    (_, i) => values[Math.floor(((i + random.next()) * values.length) / count)],
  );
}
