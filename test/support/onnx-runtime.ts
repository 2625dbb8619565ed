import * as ort from 'onnxruntime-node';
import type { Tensor, TensorData } from '../../src/gpu/tensor.ts';
import { encodeModel, type NodeModel } from './onnx-model.ts';

/** Runs a one-node model on ONNX Runtime's CPU provider. */
export async function runOnnxRuntime(model: NodeModel): Promise<Tensor[]> {
  const constants = model.initializers ?? [];
  const session = await ort.InferenceSession.create(encodeModel(model), {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  const feeds: Record<string, ort.Tensor> = {};
  for (const [i, tensor] of model.inputs.entries()) {
    if (tensor && !constants.includes(i))
      feeds[`x${i}`] = new ort.Tensor(tensor.dtype as 'int8', tensor.data as Int8Array, tensor.dims);
  }
  const results = await session.run(feeds);
  await session.release();
  return model.outputs.map((dtype, i) => {
    const { dims, data } = results[`y${i}`];
    const elements = data as TensorData;
    const bits = dtype === 'float16' && !(elements instanceof Uint16Array);
    return {
      dtype,
      dims: [...dims],
      data: bits ? new Uint16Array(elements.buffer, elements.byteOffset, elements.length) : elements,
    };
  });
}
