import type { Runtime } from '../../src/gpu/runtime.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { Model } from '../../src/model/graph.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { seeded } from '../random.ts';
import type { BenchCase, BenchContext, Opened, Size, Subject } from '../types.ts';
import { mobilenetV2 } from './mobilenet-v2.ts';

const PRECISIONS = ['fp32', 'kmeans-4', 'int8'] as const;
type Precision = (typeof PRECISIONS)[number];

/** A network's file and one picture for it. */
interface Start {
  bytes: Uint8Array;
  /** As a whole network's only input, and as calibration. */
  picture: Uint8Array | Record<string, OnnxTensor>;
  shapes: Record<string, number[]>;
}

/** From the bytes of a float network to the first answer, on a device that has compiled nothing yet, by its parts. */
export function coldStartCases(size: Size): BenchCase[] {
  // Whole networks take minutes of compiling where a CPU plays the GPU: they are no part of a short set.
  const short = size === 'tiny' || size === 'quick';
  const side = short ? 32 : 224;
  const precisions = short ? (['kmeans-4'] as const) : PRECISIONS;
  const mobilenet: BenchCase = {
    name: `cold-start(mobilenet-v2,side=${side})`,
    subjects: precisions.map((precision) => startSubject(precision, async () => startMobilenet(side))),
  };
  if (short) return [mobilenet];
  const vgg: BenchCase = {
    name: 'cold-start(vgg)',
    subjects: precisions.map((precision) => startSubject(precision, startVgg)),
  };
  return [vgg, mobilenet];
}

async function startVgg(context: BenchContext): Promise<Start> {
  return { bytes: writeModelFile(await context.model()), picture: await context.images(1), shapes: {} };
}

function startMobilenet(side: number): Start {
  const dims = [1, 3, side, side];
  const data = Float32Array.from(seeded(4).bytes(3 * side * side), (value) => value / 127.5 - 1);
  return {
    bytes: writeModelFile(mobilenetV2(side === 224 ? 1 : 1 / 8)),
    picture: { image: { dtype: 'float32', dims, data } },
    shapes: { image: dims },
  };
}

function startSubject(precision: Precision, start: (context: BenchContext) => Promise<Start>): Subject {
  return {
    implementation: 'lloyd',
    precision,
    batch: 1,
    open: async (context) => openStart(context, precision, await start(context)),
  };
}

async function openStart(context: BenchContext, precision: Precision, start: Start): Promise<Opened> {
  let fresh: Runtime | undefined;
  let parts: Record<string, number> = {};
  let answer = new Float32Array();
  const restart = async () => {
    fresh?.destroy();
    fresh = await context.fresh();
  };
  const run = async () => {
    if (!fresh) await restart();
    ({ parts, answer } = await firstAnswer(fresh!, precision, start));
  };
  return {
    work: { amount: 1, unit: 'images/s' },
    // A device is another cost, and a page has one already.
    before: restart,
    run,
    parts: () => parts,
    async floats() {
      const warm = await firstAnswer(context.runtime, precision, start);
      return { actual: answer, expected: warm.answer };
    },
    close: () => fresh?.destroy(),
  };
}

async function firstAnswer(
  runtime: Runtime,
  precision: Precision,
  { bytes, picture, shapes }: Start,
): Promise<{ parts: Record<string, number>; answer: Float32Array<ArrayBuffer> }> {
  const parts: Record<string, number> = {};
  const timed = async <T>(part: string, work: () => T | Promise<T>): Promise<T> => {
    const from = performance.now();
    const result = await work();
    parts[part] = performance.now() - from;
    return result;
  };
  const model = await timed('read', () => readModelFile(bytes) as Model);
  const network = await timed('quantize', () => quantize(runtime, model, precision, { picture, shapes }));
  const session = await timed('compile', () => compile(runtime, network, { batch: 1, shapes }));
  try {
    const answer = await timed('first run', async () => {
      if (picture instanceof Uint8Array) return session.run(picture);
      return (await session.run(picture))[session.outputs[0].name].data as Float32Array<ArrayBuffer>;
    });
    return { parts, answer: answer as Float32Array<ArrayBuffer> };
  } finally {
    session.destroy();
  }
}

async function quantize(
  runtime: Runtime,
  model: Model,
  precision: Precision,
  { picture, shapes }: Omit<Start, 'bytes'>,
): Promise<Model | QuantizedModel> {
  if (precision === 'fp32') return model;
  if (precision === 'kmeans-4') return quantizeModel(runtime, model, { method: 'kmeans', bits: 4, shapes });
  const calibration = picture instanceof Uint8Array ? picture : [picture];
  return quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration, shapes });
}
