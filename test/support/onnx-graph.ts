import * as ort from 'onnxruntime-node';
import type { Tensor } from '../../src/gpu/tensor.ts';
import type { ImageModel, ImageNode } from '../../src/model/graph.ts';
import { type Attributes, encodeGraph, type OnnxNode } from './onnx-model.ts';

/** A float model node by node as ONNX, nothing fused: its logits by ONNX Runtime's CPU provider. */
export async function onnxLogits(
  { graph, parameters }: ImageModel,
  images: Uint8Array,
): Promise<Float32Array> {
  const { height, width, channels } = graph.input;
  const batch = images.length / (height * width * channels);
  const { nodes, constants } = onnxNodes({ graph, parameters });
  const model = encodeGraph({
    opset: 17,
    nodes,
    constants,
    inputs: { [graph.input.name]: { dtype: 'float32', dims: [batch, channels, height, width] } },
    outputs: { [graph.output]: 'float32' },
  });
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  const nchw = new Float32Array(images.length);
  for (let i = 0; i < images.length; i++) {
    const c = i % channels;
    const pixel = Math.floor(i / channels) % (height * width);
    const n = Math.floor(i / (channels * height * width));
    nchw[(n * channels + c) * height * width + pixel] = images[i] / 255;
  }
  const feeds = { [graph.input.name]: new ort.Tensor(nchw, [batch, channels, height, width]) };
  const results = await session.run(feeds);
  await session.release();
  return results[graph.output].data as Float32Array;
}

function onnxNodes({ graph, parameters }: ImageModel) {
  const constants: Record<string, Tensor> = {
    zero: { dtype: 'float32', dims: [], data: Float32Array.of(0) },
    six: { dtype: 'float32', dims: [], data: Float32Array.of(6) },
  };
  for (const [name, tensor] of parameters) constants[name] = tensor;
  const nodes = graph.nodes.map((node): OnnxNode => {
    const own = (...fields: string[]) =>
      fields.map((field) => `${node.name}.${field}`).filter((name) => name in constants);
    const [opType, extra, attributes] = translate(node, own);
    return { opType, inputs: [...node.inputs, ...extra], outputs: [node.name], attributes };
  });
  return { nodes, constants };
}

type Translation = [opType: string, extraInputs: string[], attributes: Attributes];

function translate(node: ImageNode, own: (...fields: string[]) => string[]): Translation {
  switch (node.op) {
    case 'conv2d':
      return [
        'Conv',
        own('weight', 'bias'),
        {
          kernel_shape: node.kernel,
          strides: node.strides ?? [1, 1],
          dilations: node.dilations ?? [1, 1],
          pads: node.pads ?? [0, 0, 0, 0],
          group: node.groups ?? 1,
        },
      ];
    case 'batchNorm':
      return ['BatchNormalization', own('weight', 'bias', 'running_mean', 'running_var'), {}];
    case 'relu':
      return ['Relu', [], {}];
    case 'relu6':
      return ['Clip', ['zero', 'six'], {}];
    case 'add':
      return ['Sum', [], {}];
    case 'concat':
      return ['Concat', [], { axis: 1 }];
    case 'maxPool':
    case 'averagePool':
      return [
        node.op === 'maxPool' ? 'MaxPool' : 'AveragePool',
        [],
        { kernel_shape: node.kernel, strides: node.strides, pads: node.pads ?? [0, 0, 0, 0] },
      ];
    case 'globalAveragePool':
      return ['GlobalAveragePool', [], {}];
    case 'flatten':
      return ['Flatten', [], { axis: 1 }];
    case 'linear':
      return ['Gemm', own('weight', 'bias'), { transB: 1 }];
    case 'identity':
      return ['Identity', [], {}];
    default:
      throw new Error(`no ONNX operator for ${JSON.stringify(node)}`);
  }
}
