import type { Kernel, Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { float32ToFloat16 } from '../io/tensor.ts';
import { codebookExpandKernel } from '../kernels/codebook-expand.ts';
import { loadImageKernel } from '../kernels/load-image.ts';
import { chooseFloat, type FloatChoice, floatKernel } from '../quantize/float-choice.ts';
import { containerBits, isAligned, packDense, tileWeights } from '../quantize/weight-layout.ts';
import { type ConvLayer, fuseGraph } from './fuse.ts';
import type { ImageShape, Model } from './graph.ts';
import { decodeCodebook } from './layer-codes.ts';
import {
  floatBounds,
  type LoweredModel,
  type LowerOptions,
  type Operand,
  pixels,
  type Step,
  vectors,
} from './lower.ts';
import { convGeometry, convMacs, layoutFor, padded, weightShape } from './lower-conv.ts';
import { plainSteps } from './lower-plain.ts';
import type { CodebookLayer } from './precision.ts';

/** Bytes of an f32 activation for a batch. */
const activationBytes = (shape: ImageShape, batch: number) => batch * pixels(shape) * vectors(shape) * 16;

/** Lowers a model to f32 dispatches; layers with a codebook keep their weights packed until they run. */
export function lowerFloat(
  runtime: Runtime,
  model: Model,
  codebooks: ReadonlyMap<string, CodebookLayer>,
  batch: number,
  options: LowerOptions = {},
): LoweredModel {
  const layers = fuseGraph(model);
  const { input } = model.graph;
  const shapes = new Map<string, ImageShape>([[input.name, input]]);
  for (const layer of layers) shapes.set(layer.output, layer.outputShape);
  const tensor = (name: string): Operand => ({
    tensor: name,
    byteLength: activationBytes(shapes.get(name)!, batch),
  });
  const steps: Step[] = [];
  for (const layer of layers) {
    if (options.only !== undefined && layer.name !== options.only) continue;
    if (layer.kind === 'conv2d')
      steps.push(...convSteps(runtime, layer, codebooks.get(layer.name), tensor, batch, options));
    else steps.push(...plainSteps(layer, tensor, batch));
  }
  const entry = (format: string): Step => ({
    name: input.name,
    kernel: loadImageKernel as unknown as Kernel,
    specialization: { FORMAT: format },
    operands: {
      input: { tensor: 'images', byteLength: batch * pixels(input) * input.channels * 4 },
      output: tensor(input.name),
    },
    params: { pixelCount: batch * pixels(input), channels: input.channels, vectors: vectors(input) },
    macs: 0,
    shape: input,
  });
  const last = layers.at(-1)!;
  return {
    batch,
    inputs: { uint8: entry('1u'), float32: entry('2u'), qparams: null },
    steps,
    logits: {
      tensor: last.output,
      pixels: pixels(last.outputShape),
      channels: last.outputShape.channels,
      stride: vectors(last.outputShape) * 4,
      dtype: 'float32',
      scale: 1,
      zeroPoint: 0,
    },
  };
}

function convSteps(
  runtime: Runtime,
  layer: ConvLayer,
  codebook: CodebookLayer | undefined,
  tensor: (name: string) => Operand,
  batch: number,
  options: LowerOptions,
): Step[] {
  const geometry = convGeometry(layer, batch);
  const tile: FloatChoice =
    options.choose?.float(layer) ??
    chooseFloat(runtime, geometry.pixelCount, weightShape(layer), {
      ...options,
      float16: options.float16 && !codebook,
    });
  const steps: Step[] = [];
  const aligned = isAligned(weightShape(layer), tile.tileVectors);
  // Zeros between the blocks of a grouped convolution need not be in the codebook, so those layers run expanded.
  // The kernel that expands them takes one codebook.
  const packed = codebook && aligned && (codebook.groups ?? 1) === 1;
  const source = packed ? codebook.codes : codebook ? decodeCodebook(codebook) : layer.weight;
  const { codes, layout } = layoutFor<Float32Array | Uint8Array>(layer, source, tile.tileVectors);
  const ordered = tileWeights(codes, layout);
  const bits = codebook?.bits === 1 ? 1 : containerBits(codebook?.bits ?? 8);
  const half = tile.half && float32ToFloat16(ordered as Float32Array);
  let weights: Record<string, Operand> = {
    weights: { constant: half || ordered, label: `${layer.name}.weight` },
  };
  if (packed) {
    const sources: Record<string, Operand> = {
      codes: { constant: packDense(ordered as Uint8Array, bits), label: `${layer.name}.codes` },
      codebook: { constant: codebook.codebook, label: `${layer.name}.codebook` },
    };
    if (tile.tiled) weights = sources;
    else {
      weights = { weights: { tensor: `${layer.name}.weight`, byteLength: layout.length * 4 } };
      steps.push({
        name: layer.name,
        kernel: codebookExpandKernel as unknown as Kernel,
        specialization: { CODE_BITS: `${bits}u` },
        operands: { ...sources, output: weights.weights },
        params: { vectorCount: layout.length / 4 },
        macs: 0,
        shape: layer.outputShape,
      });
    }
  }
  const specialization: Specialization = { ...tile.specialization, POOL: layer.pool ? '1u' : '0u' };
  if (tile.tiled && packed) specialization.CODE_BITS = `${bits}u`;
  steps.push({
    name: layer.name,
    kernel: floatKernel(tile, Boolean(packed)),
    specialization,
    operands: {
      input: tensor(layer.input),
      ...weights,
      // Channels past the last have scale and shift 0, so padding never leaks into the next layer.
      scale: { constant: padded(layer.scale, layout), label: `${layer.name}.scale` },
      shift: { constant: padded(layer.shift, layout), label: `${layer.name}.shift` },
      output: tensor(layer.output),
    },
    params: {
      ...geometry,
      inputVectors: vectors(layer.inputShape),
      outputVectors: vectors(layer.outputShape),
      groupVectors: layout.paddedChannels / 4,
      groupTiles: layout.groupTiles,
      tileCount: layout.tileCount,
      ...floatBounds(layer),
    },
    macs: convMacs(layer, batch),
    shape: layer.outputShape,
  });
  return steps;
}
