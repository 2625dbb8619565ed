import type { Kernel, Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { codebookExpandKernel } from '../kernels/codebook-expand.ts';
import { conv2dKernel } from '../kernels/conv2d.ts';
import { conv2dUnrolledKernel } from '../kernels/conv2d-unrolled.ts';
import { loadImageKernel } from '../kernels/load-image.ts';
import { chooseTile } from '../quantize/tile.ts';
import { containerBits, isAligned, packDense, tileWeights } from '../quantize/weight-layout.ts';
import { type ConvLayer, fuseGraph } from './fuse.ts';
import type { ImageShape, Model } from './graph.ts';
import {
  floatBounds,
  type KernelChooser,
  type LoweredModel,
  type LowerOptions,
  type Operand,
  pixels,
  type Step,
  vectors,
} from './lower.ts';
import { convGeometry, convMacs, layoutFor, padded } from './lower-conv.ts';
import { plainSteps } from './lower-plain.ts';
import { type CodebookLayer, decodeCodebook } from './precision.ts';

/** Bytes of an f32 activation for a batch. */
const activationBytes = (shape: ImageShape, batch: number) => batch * pixels(shape) * vectors(shape) * 16;

/** Lowers a model to f32 dispatches; layers with a codebook keep their weights packed until they run. */
export function lowerFloat(
  runtime: Runtime,
  model: Model,
  codebooks: ReadonlyMap<string, CodebookLayer>,
  batch: number,
  { choose, only }: LowerOptions = {},
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
    if (only !== undefined && layer.name !== only) continue;
    if (layer.kind === 'conv2d')
      steps.push(...convSteps(runtime, layer, codebooks.get(layer.name), tensor, batch, choose));
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
    inputs: { uint8: entry('1u'), float32: entry('2u') },
    steps,
    logits: {
      tensor: last.output,
      stride: vectors(last.outputShape) * 4,
      classes: last.outputShape.channels,
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
  choose: KernelChooser | undefined,
): Step[] {
  const geometry = convGeometry(layer, batch);
  const tile =
    choose?.float(layer) ??
    chooseTile(
      geometry.pixelCount,
      layer.outputShape.channels / layer.groups,
      false,
      runtime.adapter.software,
    );
  const steps: Step[] = [];
  const shape = {
    outChannels: layer.outputShape.channels,
    inChannels: layer.inputShape.channels / layer.groups,
  };
  const aligned = isAligned(
    { ...shape, groups: layer.groups, kernelHeight: layer.kernel[0], kernelWidth: layer.kernel[1] },
    tile.tileVectors,
  );
  // Zeros between the blocks of a grouped convolution need not be in the codebook, so those layers run expanded.
  // The kernel that expands them takes one codebook.
  const packed = codebook && aligned && (codebook.groups ?? 1) === 1;
  const source = packed
    ? codebook.codes
    : codebook
      ? decodeCodebook(codebook)
      : layer.weight;
  const { codes, layout } = layoutFor<Float32Array | Uint8Array>(layer, source, tile.tileVectors);
  const tiled = tileWeights(codes, layout);
  let weights: Operand = { constant: tiled, label: `${layer.name}.weight` };
  if (packed) {
    const bits = codebook.bits === 1 ? 1 : containerBits(codebook.bits);
    weights = { tensor: `${layer.name}.weight`, byteLength: layout.length * 4 };
    steps.push({
      name: layer.name,
      kernel: codebookExpandKernel as unknown as Kernel,
      specialization: { CODE_BITS: `${bits}u` },
      operands: {
        codes: { constant: packDense(tiled as Uint8Array, bits), label: `${layer.name}.codes` },
        codebook: { constant: codebook.codebook, label: `${layer.name}.codebook` },
        output: weights,
      },
      params: { vectorCount: layout.length / 4 },
      macs: 0,
      shape: layer.outputShape,
    });
  }
  const specialization: Specialization = { ...tile.specialization, POOL: layer.pool ? '1u' : '0u' };
  steps.push({
    name: layer.name,
    kernel: (tile.unrolled ? conv2dUnrolledKernel : conv2dKernel) as unknown as Kernel,
    specialization,
    operands: {
      input: tensor(layer.input),
      weights,
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
