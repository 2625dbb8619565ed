// Reported situations of devices: sizes past their limits, many runs at once, lives and deaths.
import { Worker } from 'node:worker_threads';
import { compile, createRuntime, kmeans, kmeansDequantize, linearQuantize, vgg } from 'lloyd';
import { runOperator } from 'lloyd/onnx';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { buildLibrary } from '../support/built.ts';
import { f32, i8 } from '../support/onnx-tensors.ts';
import { testUnlessSlow, useRuntime } from '../support/runtime.ts';
import { furthest, uniform } from './networks.ts';

const gpu = useRuntime();

function smallVgg() {
  const model = vgg({ widthDivisor: 32 });
  const random = uniform(1);
  for (const [name, { dims, data }] of model.parameters) {
    if (!/weight/.test(name) || dims.length < 2) continue;
    for (let i = 0; i < data.length; i++) (data as Float32Array)[i] = (random() - 0.5) * 0.4;
  }
  return model;
}
const images = Uint8Array.from({ length: 3072 * 5 }, (_, i) => (i * 37 + (i >> 9)) % 256);

// ggml-org/llama.cpp PR 19965, tract PR 2820: more workgroups than a dispatch may have in x.
testUnlessSlow('a tensor of 17,000,003 elements', async () => {
  const count = 17_000_003;
  const x = new Float32Array(count);
  for (let i = 0; i < count; i++) x[i] = ((i * 7) % 301) - 150;
  const [y] = await runOperator(gpu.runtime, 'QuantizeLinear', [
    { dtype: 'float32', dims: [count], data: x },
    f32(1),
    i8(0),
  ]);
  const codes = y.data as Int8Array;
  let wrong = codes.length === count ? 0 : -1;
  for (let i = 0; i < count; i++) if (codes[i] !== Math.max(-128, Math.min(127, x[i]))) wrong++;
  expect(wrong).toBe(0);
});

// tensorflow/tfjs#6507, microsoft/onnxruntime PR 25962: over maxStorageBufferBindingSize zeros came back without a word.
testUnlessSlow('a tensor past the largest binding', async () => {
  const { runtime } = gpu;
  const limit = runtime.device.limits.maxStorageBufferBindingSize;
  if (limit > 2 ** 27) {
    console.log(`past the largest binding: not tried, the adapter allows ${limit} bytes`);
    return;
  }
  const x = Float32Array.from({ length: limit / 4 + 68 }, (_, i) => (i % 4) * 0.5 - 0.75);
  const back = await kmeansDequantize(runtime, await kmeans(runtime, x, { bits: 2, init: 'optimal' }));
  let wrong = 0;
  for (let i = 0; i < x.length; i++) if (back[i] !== x[i]) wrong++;
  expect(wrong).toBe(0);
  try {
    expect((await linearQuantize(runtime, x, { bits: 8 })).codes.length).toBe(x.length);
  } catch (error) {
    expect(error).toBeInstanceOf(LloydError);
  }
});

// huggingface/transformers.js#909, microsoft/onnxruntime#32561: two calls without waiting, "Session already started".
test('twelve runs of two sessions at once', async () => {
  const model = smallVgg();
  const sessions = await Promise.all([
    compile(gpu.runtime, model, { batch: 2 }),
    compile(gpu.runtime, model, { batch: 3 }),
  ]);
  const want = (await sessions[0].run(images)) as Float32Array;
  const runs = await Promise.all(Array.from({ length: 12 }, (_, i) => sessions[i % 2].run(images)));
  for (const got of runs) expect(furthest(got as Float32Array, want)).toBeLessThan(1e-5);
  for (const session of sessions) session.destroy();
});

// microsoft/onnxruntime PR 32346: the caller refills the image buffer right after calling run().
test('images are those of the call', async () => {
  const session = await compile(gpu.runtime, smallVgg(), { batch: 1 });
  const want = (await session.run(images)) as Float32Array;
  const scratch = images.slice();
  const pending = session.run(scratch);
  scratch.fill(0);
  expect(await pending).toEqual(want);
  // A camera loop: one buffer, refilled for each frame, frames queued.
  const frame = new Uint8Array(3072);
  const queued = Array.from({ length: 5 }, (_, i) => {
    frame.set(images.subarray(i * 3072, (i + 1) * 3072));
    return session.run(frame);
  });
  for (const [i, got] of (await Promise.all(queued)).entries())
    expect(got).toEqual(want.slice(i * 10, (i + 1) * 10));
  session.destroy();
});

// huggingface/transformers.js#1576, microsoft/onnxruntime PR 27634: the second runtime used the dead device.
test('create, destroy, create again', async () => {
  const weights = Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i) ** 3);
  const inertias = new Set<number>();
  for (let i = 0; i < 4; i++) {
    const runtime = await createRuntime();
    inertias.add((await kmeans(runtime, weights, { bits: 2, init: 'optimal' })).inertia);
    runtime.destroy();
  }
  expect(inertias.size).toBe(1);
  expect([...inertias][0]).toBeGreaterThan(0);
});

// gpuweb/gpuweb#4774, playcanvas/engine#6677, tensorflow/tfjs#8571: the device goes while a run is under way.
describe('a device that goes', () => {
  const settled = async (run: Promise<unknown>) => {
    try {
      await run;
      return 'resolved';
    } catch (error) {
      return (error as Error).name;
    }
  };
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const LLOYD = /^(LloydError|DeviceLostError)$/;
  const start = async () => {
    const runtime = await createRuntime();
    return { runtime, session: await compile(runtime, smallVgg(), { batch: 5 }) };
  };
  test.each([
    ['in the same turn', 0],
    ['a millisecond later', 1],
  ])('%s: a LloydError, or the result', async (_, ms) => {
    const { runtime, session } = await start();
    const run = settled(session.run(images));
    if (ms > 0) await wait(ms);
    runtime.destroy();
    expect(await run).toMatch(/^(LloydError|DeviceLostError|resolved)$/);
    await wait(50);
  });
  test('before the run: a LloydError', async () => {
    const { runtime, session } = await start();
    runtime.destroy();
    await wait(20);
    expect(await settled(session.run(images))).toMatch(LLOYD);
    await wait(50);
  });
});

// dawn-gpu/node-webgpu#13: WebGPU from worker threads, beside the main thread.
describe('worker threads', () => {
  let library: Awaited<ReturnType<typeof buildLibrary>>;
  beforeAll(async () => {
    library = await buildLibrary();
  });
  afterAll(() => library?.remove());

  test('two beside the main thread cluster as it does', async () => {
    const weights = Float32Array.from({ length: 20000 }, (_, i) => Math.sin(i * 1.7) ** 3);
    const { inertia } = await kmeans(gpu.runtime, weights, { bits: 4, init: 'optimal' });
    const source = `const { parentPort, workerData } = require('node:worker_threads');
      import(workerData.url).then(async ({ createRuntime, kmeans }) => {
        const runtime = await createRuntime();
        parentPort.postMessage((await kmeans(runtime, workerData.weights, { bits: 4, init: 'optimal' })).inertia);
        runtime.destroy();
      });`;
    const run = () =>
      new Promise<unknown>((resolve, reject) => {
        const worker = new Worker(source, { eval: true, workerData: { url: library.url, weights } });
        let said: unknown;
        worker.on('message', (message) => {
          said = message;
        });
        worker.on('error', reject);
        worker.on('exit', () => resolve(said));
      });
    expect(await Promise.all([run(), run()])).toEqual([inertia, inertia]);
    expect((await kmeans(gpu.runtime, weights, { bits: 4, init: 'optimal' })).inertia).toBe(inertia);
  });
});
