import { chooseFloat, type FloatChoice, floatKernel } from '../conv/float-choice.ts';
import { containerBits, isAligned, packDense, tileWeights } from '../conv/weight-layout.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { float32ToFloat16 } from '../io/tensor.ts';
import { codebookExpandKernel } from '../kernels/codebook-expand.ts';
import type { CodebookLayer } from '../model/quantized-model.ts';
import { type ConvLayer } from './fuse.ts';
import { decodeCodebook } from './layer-codes.ts';
import { type LowerOptions, type Operand, type Step, vectors } from './lower.ts';
import { convGeometry, convMacs, layoutFor, padded, weightShape } from './lower-conv.ts';

/** Lowers a convolution to f32 dispatches; one with a codebook keeps its weights packed until it runs. */
export function floatConvSteps(
  runtime: Runtime,
  layer: ConvLayer,
  codebook: CodebookLayer | undefined,
  { input, output }: { input: Operand; output: Operand },
  options: LowerOptions,
): Step[] {
  const geometry = convGeometry(layer);
  const tile: FloatChoice =
    options.choose?.float(layer) ??
    chooseFloat(runtime, geometry.pixelCount, weightShape(layer), {
      ...options,
      float16: options.float16 && !codebook,
      plane: geometry,
    });
  const steps: Step[] = [];
  const aligned = isAligned(weightShape(layer), tile.tileVectors);
  // Zeros between the blocks of a grouped convolution need not be in the codebook, so those layers run expanded, and so do
  // depthwise ones, whose few weights are not worth the dispatch. The kernel that expands the others takes one codebook.
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
  const winograd = tile.variant === 'winograd';
  steps.push({
    name: layer.name,
    kernel: floatKernel(tile, Boolean(packed)),
    specialization: { ...tile.specialization, ...(tile.tiled && packed && { CODE_BITS: `${bits}u` }) },
    operands: {
      input,
      ...weights,
      // Channels past the last have scale and shift 0, so padding never leaks into the next layer.
      scale: { constant: padded(layer.scale, layout), label: `${layer.name}.scale` },
      shift: { constant: padded(layer.shift, layout), label: `${layer.name}.shift` },
      output,
    },
    params: {
      ...(winograd ? winogradGeometry(layer) : geometry),
      inputVectors: vectors(layer.inputShape),
      outputVectors: vectors(layer.outputShape),
      groupVectors: Math.ceil(layout.paddedChannels / 4),
      groupTiles: layout.groupTiles,
      tileCount: layout.tileCount,
      low: layer.low,
      high: layer.high,
    },
    macs: convMacs(layer),
    shape: layer.outputShape,
  });
  return steps;
}

/** What `conv2d-winograd` is told of a layer's geometry: its kernel is three wide, its strides are 1. */
function winogradGeometry(layer: ConvLayer) {
  const {
    inputHeight,
    inputWidth,
    outputHeight,
    outputWidth,
    kernelHeight,
    dilationHeight,
    padTop,
    padLeft,
    pool,
  } = convGeometry(layer);
  return {
    ...{ inputHeight, inputWidth, outputHeight, outputWidth, kernelHeight, dilationHeight, padTop, padLeft },
    ...{ imageCount: layer.batch, pool },
  };
}
