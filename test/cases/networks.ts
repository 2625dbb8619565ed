import { compile, type ImageGraph, type ImageModel, type ImageNode, quantizeModel } from 'lloyd';
import type { Runtime } from '../../src/gpu/runtime.ts';

/** A network by hand: `[height, width, channels]`, nodes, and parameters as `[dims, values]`; the last node is the output. */
export function network(
  [height, width, channels]: [number, number, number],
  nodes: ImageNode[],
  parameters: Record<string, [number[], ArrayLike<number>]>,
): ImageModel {
  const graph: ImageGraph = {
    name: 'case',
    input: { name: 'input', height, width, channels },
    nodes,
    output: nodes.at(-1)!.name,
  };
  const tensors = Object.entries(parameters).map(
    ([name, [dims, values]]) =>
      [name, { dtype: 'float32' as const, dims, data: Float32Array.from(values) }] as const,
  );
  return { graph, parameters: new Map(tensors) };
}

/** fp32 and int8 outputs of the same images, calibrated on them. */
export async function bothPrecisions(
  runtime: Runtime,
  model: ImageModel,
  images: Uint8Array | Float32Array,
  options: Partial<Parameters<typeof quantizeModel>[2]> = {},
): Promise<{ float: Float32Array; int8: Float32Array }> {
  const run = async (network: Parameters<typeof compile>[1]) => {
    const session = await compile(runtime, network, { batch: 4 });
    try {
      return (await session.run(images)) as Float32Array;
    } finally {
      session.destroy();
    }
  };
  const float = await run(model);
  const linear = { method: 'linear', bits: 8, calibration: images, ...options } as const;
  return { float, int8: await run(await quantizeModel(runtime, model, linear)) };
}

/** The largest difference of two outputs of one length. */
export function furthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return Number.isNaN(most) ? Number.POSITIVE_INFINITY : most;
}

/** The linear congruential generator of these cases: uniform in 0 to 1. */
export function uniform(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}
