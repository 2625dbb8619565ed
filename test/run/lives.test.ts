import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DeviceLostError, LloydError } from '../../src/gpu/errors.ts';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { createRuntime, type Runtime } from '../../src/gpu/runtime.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { kmeans } from '../../src/quantize/kmeans.ts';
import { compareModel } from '../../src/run/compare.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { finetune, train } from '../../src/train/index.ts';
import { smallModel, stripes } from '../support/small-model.ts';

const model = smallModel();
const { images, labels } = stripes(7);
let int8: QuantizedModel;
const unhandled: unknown[] = [];
const listen = (reason: unknown) => void unhandled.push(reason);

beforeAll(async () => {
  process.on('unhandledRejection', listen);
  const runtime = await createRuntime();
  int8 = await quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration: images });
  runtime.destroy();
});
afterAll(async () => {
  await pause(20);
  process.off('unhandledRejection', listen);
  expect(unhandled).toEqual([]);
});

const pause = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));
const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => error,
  );

async function opened(batch = 2) {
  const runtime = await createRuntime();
  return { runtime, session: await compile(runtime, int8, { batch }) };
}

describe('a device that goes', () => {
  test('ends every run under way and later, and the runtime says why', async () => {
    const { runtime, session } = await opened();
    const runs = Array.from({ length: 3 }, () => errorOf(session.run(images)));
    await pause();
    runtime.destroy();
    for (const error of await Promise.all(runs)) {
      if (error !== null) expect(error).toBeInstanceOf(DeviceLostError);
    }
    await expect(session.run(images)).rejects.toThrow(
      /the device must be alive.*runtime\.destroy\(\) was called.*recover/,
    );
    expect(await runtime.lost).toEqual({ reason: 'destroyed', message: 'runtime.destroy() was called' });
    await expect(runtime.idle()).rejects.toBeInstanceOf(DeviceLostError);
    expect(() => runtime.empty(4)).toThrow(DeviceLostError);
    session.destroy();
  });

  test('may be destroyed by its owner, at once or later', async () => {
    for (const wait of [null, 0, 2]) {
      const { runtime, session } = await opened();
      const run = errorOf(session.run(images));
      if (wait !== null) await pause(wait);
      runtime.device.destroy();
      const error = await run;
      if (error !== null) expect(error).toBeInstanceOf(DeviceLostError);
      expect(await errorOf(session.run(images))).toBeInstanceOf(DeviceLostError);
    }
  });

  test('is refused as a device to begin with', async () => {
    const { device } = await createRuntime();
    device.destroy();
    await expect(createRuntime({ device })).rejects.toBeInstanceOf(DeviceLostError);
  });

  test.each<[string, (runtime: Runtime, started: () => void) => Promise<unknown>]>([
    [
      'calibration',
      (runtime) => quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration: images }),
    ],
    [
      'training',
      (runtime, started) =>
        train(runtime, model, { images, labels }, { steps: 50, batch: 2, onStep: started }),
    ],
    [
      'tuning',
      (runtime, started) =>
        compile(runtime, int8, {
          batch: 1,
          tune: {
            budgetMs: 60_000,
            store: { read: async () => null, write: async () => {} },
            onPick: started,
          },
        }),
    ],
  ])('ends %s with a DeviceLostError', async (_, start) => {
    const runtime = await createRuntime();
    const soon = new Promise<void>((resolve) => setTimeout(resolve, 30));
    let begun = () => {};
    const first = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const work = errorOf(start(runtime, begun));
    await Promise.race([soon, first]);
    runtime.destroy();
    expect(await work).toBeInstanceOf(DeviceLostError);
  });
});

describe('recover', () => {
  test('takes a session over to another runtime, with the same bits', async () => {
    const { runtime, session } = await opened();
    const before = await session.run(images);
    runtime.destroy();
    await expect(session.run(images)).rejects.toBeInstanceOf(DeviceLostError);
    await expect(session.recover(runtime)).rejects.toBeInstanceOf(DeviceLostError);
    const next = await createRuntime();
    const recovered = session.recover(next);
    expect(await session.run(images)).toEqual(before);
    await recovered;
    expect(session.runtime).toBe(next);
    session.destroy();
    await expect(session.recover(next)).rejects.toThrow(/a session destroyed/);
    next.destroy();
  });

  test('compareModel goes on at the row that lost its device', async () => {
    const first = await createRuntime();
    const calibration = images;
    const rows = ['fp32', 'linear-8', 'linear-4'];
    const calm = await compareModel(first, model, images, labels, { calibration, rows });
    const seen: string[] = [];
    let asked = 0;
    const disturbed = await compareModel(first, model, images, labels, {
      calibration,
      rows,
      onRow: ({ name }) => seen.push(name),
      onProgress: ({ row }) => row === 'linear-8' && first.destroy(),
      async onLost() {
        asked++;
        return createRuntime();
      },
    });
    const facts = ({ rows }: typeof calm) =>
      rows.map(({ name, accuracy, logitSqnrDb }) => ({ name, accuracy, logitSqnrDb }));
    expect(facts(disturbed)).toEqual(facts(calm));
    expect({ asked, seen }).toEqual({ asked: 1, seen: rows });
  });
});

describe('a session destroyed', () => {
  test('during runs answers them and later ones', async () => {
    const { runtime, session } = await opened();
    const runs = [errorOf(session.run(images)), errorOf(session.run(images))];
    session.destroy();
    for (const error of await Promise.all(runs)) {
      expect(error).toBeInstanceOf(LloydError);
      expect(String(error)).toMatch(/a session destroyed/);
    }
    await expect(session.run(images)).rejects.toThrow(/a session destroyed/);
    await pause(5);
    const again = await compile(runtime, int8, { batch: 2 });
    expect(await again.run(images)).toHaveLength(35);
    runtime.destroy();
  });
});

describe('images', () => {
  test('are read before run returns: one array serves a camera loop', async () => {
    const { runtime, session } = await opened(1);
    const frames = Array.from({ length: 5 }, (_, i) => images.slice(i * 192, (i + 2) * 192));
    const want = [];
    for (const frame of frames) want.push(await session.run(frame));
    const camera = new Uint8Array(384);
    const runs = frames.map((frame) => {
      camera.set(frame);
      return session.run(camera);
    });
    camera.fill(0);
    expect(await Promise.all(runs)).toEqual(want);
    const many = images.slice();
    const expected = await session.run(images);
    const run = session.run(many);
    many.fill(0);
    expect(await run).toEqual(expected);
    runtime.destroy();
  });
});

describe('signals', () => {
  const reason = new Error('enough');
  const aborted = () => AbortSignal.abort(reason);

  test('end a run at once, in the queue and under way, and leave the session fit', async () => {
    const { runtime, session } = await opened(1);
    const want = await session.run(images);
    const stop = new AbortController();
    const first = session.run(images);
    const queued = errorOf(session.run(images, { signal: stop.signal }));
    stop.abort(reason);
    expect(await queued).toBe(reason);
    expect(await first).toEqual(want);
    const during = new AbortController();
    const run = errorOf(session.run(images, { signal: during.signal }));
    during.abort(reason);
    expect(await run).toBe(reason);
    expect(await session.run(images)).toEqual(want);
    runtime.destroy();
  });

  test('end quantizing, calibrating, compiling and tuning', async () => {
    const runtime = await createRuntime();
    for (const method of ['linear', 'kmeans'] as const) {
      const work = quantizeModel(runtime, model, { method, bits: 4, calibration: images, signal: aborted() });
      expect(await errorOf(work)).toBe(reason);
    }
    expect(await errorOf(compile(runtime, int8, { signal: aborted() }))).toBe(reason);
    let text = '';
    const stop = new AbortController();
    const tuning = compile(runtime, int8, {
      batch: 1,
      signal: stop.signal,
      tune: {
        budgetMs: 600_000,
        store: {
          read: async () => text || null,
          write: async (written) => {
            text = written;
          },
        },
        onPick: () => stop.abort(reason),
      },
    });
    expect(await errorOf(tuning)).toBe(reason);
    expect(Object.values(JSON.parse(text).adapters as object).flatMap(Object.keys)).toHaveLength(1);
    runtime.destroy();
  });

  test('end training after the step under way, with what was reached', async () => {
    const runtime = await createRuntime();
    const palette = await quantizeModel(runtime, model, { method: 'kmeans', bits: 2 });
    for (const work of [
      (signal: AbortSignal, onStep: () => void) =>
        train(runtime, model, { images, labels }, { steps: 9, batch: 2, signal, onStep }),
      (signal: AbortSignal, onStep: () => void) =>
        finetune(runtime, palette, { images, labels }, { steps: 9, batch: 2, reestimate: 4, signal, onStep }),
    ]) {
      const stop = new AbortController();
      expect((await work(stop.signal, () => stop.abort(reason))).step).toBe(1);
    }
    runtime.destroy();
  });
});

describe('plain JavaScript', () => {
  test('a device where options or a runtime are wanted is refused with the cure', async () => {
    const runtime = await createRuntime();
    const device = runtime.device as never;
    await expect(createRuntime(device)).rejects.toThrow(/createRuntime\(\{ device \}\)/);
    await expect(createRuntime({ device: runtime as never })).rejects.toThrow(/device must be a GPUDevice/);
    await expect(kmeans(device, new Float32Array(9), { bits: 1 })).rejects.toThrow(
      /must be a runtime; received "a GPUDevice"/,
    );
    await expect(compile(device, model)).rejects.toThrow(/must be a runtime/);
    await expect(train(device, model, { images, labels })).rejects.toThrow(/must be a runtime/);
    await expect(kmeans(createRuntime() as never, new Float32Array(9), { bits: 1 })).rejects.toThrow(
      /await createRuntime/,
    );
    runtime.destroy();
  });
});

describe('errors of the GPU', () => {
  const fill = (value: number) =>
    defineKernel({
      name: 'fill',
      wgsl: [
        `@group(0) @binding(0) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(1) fn main() { output[0] = ${value}u; }`,
      ],
      bindings: { output: { access: 'write', type: 'u32' } },
      params: {},
      workgroups: () => 1,
    });

  test('two kernels of one name have a pipeline each', async () => {
    const runtime = await createRuntime();
    for (const kernel of [fill(7), fill(9)]) {
      const output = runtime.empty(4);
      runtime.submit([(await kernel.create(runtime.device)).bind({ output }, {})]);
      const [value] = new Uint32Array(await runtime.read(output));
      expect(value).toBe(kernel.declaration.wgsl[0].includes('7u') ? 7 : 9);
    }
    runtime.destroy();
  });

  test('a submit that was invalid is heard by the next read, and by none after it', async () => {
    const runtime = await createRuntime();
    const kernel = await fill(7).create(runtime.device);
    const [gone, output] = [runtime.empty(4), runtime.empty(4)];
    const call = kernel.bind({ output: gone }, {});
    gone.destroy();
    runtime.submit([call]);
    await expect(runtime.read(output)).rejects.toThrow(/a submit must be valid for WebGPU.*destroyed/s);
    expect(new Uint32Array(await runtime.read(output))).toEqual(Uint32Array.of(0));
    runtime.destroy();
  });

  test('an uncaptured one reaches the hook and whoever awaits next', async () => {
    const heard: LloydError[] = [];
    const runtime = await createRuntime({ onError: (error) => heard.push(error) });
    const session = await compile(runtime, int8, { batch: 1 });
    runtime.device.createBuffer({ size: 4, usage: 0x4000_0000 });
    await pause(20);
    expect(heard).toHaveLength(1);
    expect(heard[0]).toBeInstanceOf(LloydError);
    expect(await errorOf(session.run(images))).toBe(heard[0]);
    expect(await errorOf(session.run(images))).toBeNull();
    runtime.destroy();
  });
});
