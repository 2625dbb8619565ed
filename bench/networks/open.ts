import { readFileSync } from 'node:fs';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { fromGraphModel } from '../../src/tfjs/graph-model.ts';
import { fromLayersModel } from '../../src/tfjs/layers-model.ts';
import { loadTfjs } from './tfjs-files.ts';

type Tf = typeof import('@tensorflow/tfjs');
type Tensors = Record<string, OnnxTensor>;

/** A network in the library that its file is meant for. */
export interface Original {
  /** All outputs by our names for them. */
  run(feed: Tensors): Promise<Tensors>;
  close(): unknown;
}

/** A network read from its file, and what can run the file itself. */
export interface OpenedNetwork {
  model: GraphModel;
  /** Whose format it is; its CPU is what our floats are held against. */
  format: 'tfjs' | 'onnx';
  /** The file's own bytes, of ONNX's. */
  bytes?: Uint8Array;
  /** @param backend of tfjs's, `cpu` unless given; set again before every run, since there is one for all */
  original(backend?: 'cpu' | 'wasm' | 'webgpu'): Promise<Original>;
}

/** Reads a network's file: `.onnx`, or tfjs's `.json` or a script that exports it. */
export async function openNetwork(path: string): Promise<OpenedNetwork> {
  if (path.endsWith('.onnx')) {
    const bytes = new Uint8Array(readFileSync(path));
    return { model: readOnnx(bytes), format: 'onnx', bytes, original: () => openOrt(bytes, 'cpu') };
  }
  const tf = await import('@tensorflow/tfjs');
  await tf.setBackend('cpu');
  const loaded = await loadTfjs(tf, path);
  const model =
    'executor' in loaded
      ? await fromGraphModel(loaded)
      : await fromLayersModel(loaded as import('@tensorflow/tfjs').LayersModel);
  loaded.dispose();
  return { model, format: 'tfjs', original: (backend = 'cpu') => openTfjs(tf, path, model, backend) };
}

async function openTfjs(tf: Tf, path: string, { graph }: GraphModel, backend: string): Promise<Original> {
  await tf.setBackend(backend);
  const loaded = await loadTfjs(tf, path);
  return {
    async run(feed) {
      await tf.setBackend(backend);
      const inputs = graph.inputs.map(({ name, dtype }) =>
        tf.tensor(feed[name].data as Float32Array, [...feed[name].dims], dtype as 'float32'),
      );
      const named = Object.fromEntries(graph.inputs.map(({ name }, i) => [name, inputs[i]]));
      // A graph model gives what it is asked for by name, a layers model all that it has, in order.
      const given =
        'executor' in loaded
          ? await execute(loaded, named, graph.outputs)
          : (loaded as import('@tensorflow/tfjs').LayersModel).predict(inputs);
      const results = [given].flat();
      const read = results.map(
        async (tensor, i) =>
          [
            graph.outputs[i],
            { dtype: tensor.dtype, dims: [...tensor.shape], data: await tensor.data() } as OnnxTensor,
          ] as const,
      );
      const outputs = Object.fromEntries(await Promise.all(read));
      tf.dispose([...inputs, ...results]);
      return outputs;
    },
    close: () => loaded.dispose(),
  };
}

/** What sizes depend on runs only in the other way of tfjs's, which says of the rest that it need not. */
async function execute(
  loaded: import('@tensorflow/tfjs').GraphModel,
  feed: Record<string, import('@tensorflow/tfjs').Tensor>,
  outputs: readonly string[],
) {
  try {
    return loaded.execute(feed, [...outputs]);
  } catch (error) {
    if (!/executeAsync/.test((error as Error).message)) throw error;
    return loaded.executeAsync(feed, [...outputs]);
  }
}

/** ONNX Runtime's session of a file, on its CPU or on its WebGPU provider. */
export async function openOrt(bytes: Uint8Array, provider: 'cpu' | 'webgpu'): Promise<Original> {
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [{ name: provider }],
    // Its warnings are about nodes that it moves to the CPU on purpose.
    logSeverityLevel: 3,
  });
  return {
    async run(feed) {
      const feeds = Object.entries(feed).map(
        ([name, { dtype, dims, data }]) =>
          [name, new ort.Tensor(dtype as 'float32', data as Float32Array, dims)] as const,
      );
      const results = Object.entries(await session.run(Object.fromEntries(feeds)));
      return Object.fromEntries(
        results.map(([name, { type, dims, data }]) => [
          name,
          { dtype: type, dims: [...dims], data } as OnnxTensor,
        ]),
      );
    },
    close: () => session.release(),
  };
}
