import type { Runtime } from '../../src/gpu/runtime.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { compile, type Session } from '../../src/run/session.ts';
import { startWasm } from '../peers/tfjs.ts';
import type { OpenedNetwork } from './open.ts';

export type Tensors = Record<string, OnnxTensor>;

/** More of the largest value than sums in another order make of a network of real weights. */
export const ROUNDING = 1e-3;

/** How far from the file's own library our floats are. */
export interface Held {
  /** By the largest value of an output, over all outputs. */
  error: number;
  /** Where that is more than rounding: how far the library's own answer moves with its input's last bits. */
  moved?: number;
}

/**
 * Holds our floats against the library that a network's file is meant for, on the CPU. tfjs's WebAssembly is many times
 * as fast as its plain JavaScript, which is asked where that lacks a kernel or differs.
 */
export async function holdFloats(
  runtime: Runtime,
  opened: OpenedNetwork,
  feeds: readonly Tensors[],
): Promise<Held> {
  if (opened.format === 'tfjs') {
    await startWasm();
    const error = await largestError(runtime, opened, feeds, 'wasm').catch(() => Number.POSITIVE_INFINITY);
    if (error <= ROUNDING) return { error };
  }
  const error = await largestError(runtime, opened, feeds);
  return error <= ROUNDING ? { error } : { error, moved: await movedError(opened, feeds) };
}

/** How far our floats are from the file's own library, by the largest value of an output, over all outputs. */
async function largestError(
  runtime: Runtime,
  { model, original }: OpenedNetwork,
  feeds: readonly Tensors[],
  backend?: 'cpu' | 'wasm',
): Promise<number> {
  const peer = await original(backend);
  try {
    const { outputs } = await outputsOf(runtime, model, feeds);
    let worst = 0;
    for (const [i, feed] of feeds.entries()) {
      worst = Math.max(worst, errorOf(outputs[i], await peer.run(feed), model.graph.outputs));
    }
    return worst;
  } finally {
    await peer.close();
  }
}

/**
 * How far the file's own library moves when its input moves by a few last bits: what no other order of sums can be held
 * to. Large where a network chooses scales or codes while it runs, or ends in a steep sigmoid.
 */
async function movedError({ model, original }: OpenedNetwork, feeds: readonly Tensors[]): Promise<number> {
  const peer = await original();
  const moved = (tensor: OnnxTensor, by: number): OnnxTensor =>
    tensor.dtype === 'float32'
      ? { ...tensor, data: (tensor.data as Float32Array).map((value) => value * by) }
      : tensor;
  try {
    let worst = 0;
    for (const feed of feeds) {
      const expected = await peer.run(feed);
      for (const by of [1 - NUDGE, 1 + NUDGE]) {
        const other = Object.entries(feed).map(([name, tensor]) => [name, moved(tensor, by)]);
        worst = Math.max(
          worst,
          errorOf(await peer.run(Object.fromEntries(other)), expected, model.graph.outputs),
        );
      }
    }
    return worst;
  } finally {
    await peer.close();
  }
}

const NUDGE = 1e-6;

/** Its two samples of that are not the most there is. */
export const MOVED = 4;

/** Below this an output is nothing: ONNX Runtime's sigmoid of -18 is 6e-8, three times what it should be. */
const LEAST = 1e-3;

/** The largest difference of an output, by its largest value, over all of them. */
export function errorOf(got: Tensors, want: Tensors, outputs: readonly string[]): number {
  let worst = 0;
  for (const name of outputs) {
    const [own, other] = [got[name], want[name]];
    if (`${own.dims}` !== `${other.dims}`)
      throw new Error(`${name} is ${own.dims.join(' x ')} instead of ${other.dims.join(' x ')}`);
    let [largest, difference] = [LEAST, 0];
    for (let i = 0; i < other.data.length; i++) {
      const [a, b] = [Number(own.data[i]), Number(other.data[i])];
      if (Number.isFinite(b)) largest = Math.max(largest, Math.abs(b));
      if (Object.is(a, b)) continue;
      // A NaN is no number of the other's either.
      difference = Math.max(difference, Number.isFinite(a - b) ? Math.abs(a - b) : Number.POSITIVE_INFINITY);
    }
    worst = Math.max(worst, difference / largest);
  }
  return worst;
}

/** A network's outputs for some feeds of the same shapes. */
export async function outputsOf(
  runtime: Runtime,
  network: GraphModel | QuantizedModel,
  feeds: readonly Tensors[],
): Promise<{ outputs: Tensors[]; gpuWeightBytes: number }> {
  const session = await compileFor(runtime, network, feeds[0]);
  try {
    const outputs: Tensors[] = [];
    for (const feed of feeds) outputs.push(await session.run(feed));
    return { outputs, gpuWeightBytes: session.gpuBytes.weights };
  } finally {
    session.destroy();
  }
}

/** Compiles for a feed's shapes. */
export function compileFor(
  runtime: Runtime,
  network: GraphModel | QuantizedModel,
  feed: Tensors,
): Promise<Session> {
  const shapes = Object.fromEntries(Object.entries(feed).map(([name, { dims }]) => [name, dims]));
  return compile(runtime, network, { shapes });
}
