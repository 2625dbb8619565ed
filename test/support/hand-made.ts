import { type ImageGraph, type ImageModel, type ImageNode, imageModel } from '../../src/model/graph.ts';
import { type CompileOptions, compile } from '../../src/run/session.ts';
import type { useRuntime } from './runtime.ts';

/** A network of given nodes, the last one its output, with float32 parameters: `[dims, values]` by name. */
export function handMade(
  [height, width, channels]: readonly [number, number, number],
  nodes: readonly ImageNode[],
  parameters: Readonly<Record<string, readonly [readonly number[], ArrayLike<number>]>>,
): ImageModel {
  const input: ImageGraph['input'] = { name: 'x', height, width, channels };
  return {
    graph: { name: 'hand made', input, nodes, output: nodes[nodes.length - 1].name },
    parameters: new Map(
      Object.entries(parameters).map(([name, [dims, data]]) => [
        name,
        { dtype: 'float32', dims, data: Float32Array.from(data) },
      ]),
    ),
  };
}

/** Logits of a session that lives no longer. */
export async function logitsOf(
  { runtime }: ReturnType<typeof useRuntime>,
  model: Parameters<typeof compile>[1],
  images: Uint8Array | Float32Array,
  options: CompileOptions = {},
): Promise<Float32Array> {
  const { graph } = imageModel('layers' in model ? model.model : model, 'a test');
  const { height, width, channels } = graph.input;
  const session = await compile(runtime, model, {
    batch: images.length / (height * width * channels),
    ...options,
  });
  try {
    return await session.run(images);
  } finally {
    session.destroy();
  }
}

/** The largest difference over the largest magnitude of what is wanted. */
export function worstError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  const values = Array.from(want);
  const size = Math.max(...values.map(Math.abs));
  return Math.max(...values.map((value, i) => Math.abs(value - got[i]))) / size;
}
