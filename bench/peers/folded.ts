import { fuseGraph } from '../../src/lower/fuse.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import { foldedWeights } from '../../src/run/precision.ts';

/** A VGG as every peer wants it: convolutions with batch norm folded in, then one average pool and a classifier. */
export interface FoldedVgg {
  convs: {
    name: string;
    outputs: number;
    inputs: number;
    weight: Float32Array;
    bias: Float32Array;
    pool: boolean;
  }[];
  classifier: { outputs: number; inputs: number; weight: Float32Array; bias: Float32Array };
  input: { height: number; width: number; channels: number };
}

/** Weights stay OIHW; the folding is our own compiler's, so that peers multiply the same numbers. */
export function foldVgg(model: ImageModel): FoldedVgg {
  const convs: FoldedVgg['convs'] = [];
  for (const layer of fuseGraph(model).layers) {
    if (layer.kind !== 'conv2d') continue;
    const { name, pool, shift, inputShape, outputShape } = layer;
    const weight = foldedWeights(layer);
    convs.push({
      name,
      outputs: outputShape.channels,
      inputs: inputShape.channels,
      weight,
      bias: shift,
      pool,
    });
  }
  const classifier = convs.pop()!;
  return { convs, classifier, input: model.graph.input };
}

/** OIHW to tfjs' HWIO. */
export function toHwio(weight: Float32Array, outputs: number, inputs: number, kernel: number): Float32Array {
  const result = new Float32Array(weight.length);
  const area = kernel * kernel;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let k = 0; k < area; k++)
        result[(k * inputs + i) * outputs + o] = weight[(o * inputs + i) * area + k];
    }
  }
  return result;
}

/** tfjs' HWIO to OIHW. */
export function toOihw(weight: Float32Array, outputs: number, inputs: number, kernel: number): Float32Array {
  const area = kernel * kernel;
  return Float32Array.from(weight, (_, to) => {
    const o = Math.floor(to / (inputs * area));
    const i = Math.floor(to / area) % inputs;
    return weight[((to % area) * inputs + i) * outputs + o];
  });
}

/** Pixels to the floats from 0 to 1 that a float network takes, as our own first kernel divides them. */
export function toFloats(pixels: Uint8Array): Float32Array {
  return Float32Array.from(pixels, (pixel) => pixel / 255);
}

/** NHWC to NCHW. */
export function toNchw(values: Float32Array, batch: number, pixels: number, channels: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let n = 0; n < batch; n++) {
    for (let p = 0; p < pixels; p++) {
      for (let c = 0; c < channels; c++) {
        result[(n * channels + c) * pixels + p] = values[(n * pixels + p) * channels + c];
      }
    }
  }
  return result;
}
