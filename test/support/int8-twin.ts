import { type ConvLayer, fuseGraph, layerInputs, type PlainLayer } from '../../src/lower/fuse.ts';
import type { Model } from '../../src/model/graph.ts';
import type { ActivationQparams, QuantizedModel } from '../../src/model/quantized-model.ts';
import { addInt8Reference } from '../../src/reference/add-int8.ts';
import { averagePool2d } from '../../src/reference/average-pool2d.ts';
import { averagePool2dInt8 } from '../../src/reference/average-pool2d-int8.ts';
import { rescaleReference } from '../../src/reference/concat-int8.ts';
import { conv2dAccumulators } from '../../src/reference/conv2d-int8.ts';
import { maxPool2d } from '../../src/reference/max-pool2d.ts';
import { maxPool2dInt8 } from '../../src/reference/max-pool2d-int8.ts';
import type { AveragePoolShape } from '../../src/reference/pool-windows.ts';
import { quantizeLinear } from '../../src/reference/quantize-linear.ts';
import { requantizeReference, roundHalfEven } from '../../src/reference/requantize.ts';

/** The logits of an integer-only model, layer by layer by the CPU twins of its kernels. */
export function int8Logits(given: QuantizedModel, images: Uint8Array | Float32Array): Float32Array {
  const { model, requantize } = given;
  const input = imageInput(model);
  const fused = fuseGraph(model);
  const layers = fused.layers.filter((layer) => layer.kind !== 'operator');
  const activations = new Map(given.activations);
  for (const name of fused.graph.values.keys()) {
    const grid = given.activations.get(fused.origin(name));
    if (grid) activations.set(name, grid);
  }
  const quantized = { ...given, activations };
  const batch = images.length / input.size;
  const floats = images instanceof Float32Array ? images : Float32Array.from(images, (pixel) => pixel / 255);
  const { scale: step, zeroPoint } = activations.get(input.name)!;
  const layout = { axisSize: 1, axisStride: floats.length };
  const codes = new Map<string, Int8Array>([
    [input.name, Int8Array.from(quantizeLinear(floats, [step], [zeroPoint], layout, -128, 127))],
  ]);
  const last = layers.at(-1)!;
  // A mean that comes last is of floats, and so is what nobody but it reads.
  const mean = last.kind === 'averagePool' && requantize !== 'lab' ? last : null;
  const readers = (name: string) => layers.filter((layer) => layerInputs(layer).includes(name)).length;
  const isFloat = (layer: ConvLayer) =>
    requantize !== 'lab' &&
    (layer === last || (mean !== null && layer.output === mean.inputs[0] && readers(layer.output) === 1));
  const values = new Map<string, Float32Array>();
  for (const layer of layers) {
    const y = { ...activations.get(layer.output)!, ...bounds(layer, activations.get(layer.output)!) };
    if (layer.kind === 'conv2d') {
      const x = activations.get(layer.input)!;
      const { accumulators, scales } = convolve(quantized, layer, codes.get(layer.input)!, batch);
      const channels = scales.length;
      if (isFloat(layer)) {
        const scale = scales.map((s) => Math.fround(Math.fround(x.scale) * s));
        const { low, high } = layer;
        const all = Float32Array.from(accumulators, (a, i) =>
          Math.min(high, Math.max(low, Math.fround(Math.fround(a) * scale[i % channels]))),
        );
        values.set(layer.output, layer.pool ? maxPool2d(all, fusedPool(layer, batch)) : all);
        continue;
      }
      const result = Int8Array.from(accumulators, (a, i) =>
        requantizeReference(requantize, a, {
          inputScale: x.scale,
          weightScale: scales[i % channels],
          outputScale: y.scale,
          ...y,
        }),
      );
      codes.set(layer.output, layer.pool ? maxPool2dInt8(result, fusedPool(layer, batch)) : result);
    } else if (layer === mean) {
      const [name] = layer.inputs;
      const x = activations.get(name)!;
      const floats =
        values.get(name) ??
        Float32Array.from(codes.get(name)!, (code) => Math.fround((code - x.zeroPoint) * x.scale));
      values.set(layer.output, averagePool2d(floats, averageShape(layer, batch)));
    } else codes.set(layer.output, plain(quantized, layer, y, codes, batch));
  }
  const whole = values.get(last.output);
  if (whole) return whole;
  const y = activations.get(last.output)!;
  return Float32Array.from(codes.get(last.output)!, (code) => Math.fround((code - y.zeroPoint) * y.scale));
}

/** A network's one input: its name, and how many values an image has. */
function imageInput(model: Model): { name: string; size: number } {
  if ('inputs' in model.graph) {
    const [{ name, shape }] = model.graph.inputs;
    return { name, size: shape.slice(1).reduce((size: number, dim) => size * Number(dim), 1) };
  }
  const { name, height, width, channels } = model.graph.input;
  return { name, size: height * width * channels };
}

type Output = ActivationQparams & { low: number; high: number };

function bounds({ low, high }: ConvLayer | PlainLayer, { scale, zeroPoint }: ActivationQparams) {
  const code = (value: number) => Math.min(127, Math.max(-128, roundHalfEven(value / scale) + zeroPoint));
  return { low: low === -Infinity ? -128 : code(low), high: high === Infinity ? 127 : code(high) };
}

function convolve(
  { layers, activations }: QuantizedModel,
  layer: ConvLayer,
  input: Int8Array,
  batch: number,
) {
  // A batch norm by itself multiplies by its factor: 127 times a 127th of it.
  const weights = layer.affine
    ? {
        method: 'linear' as const,
        codes: Int8Array.from(layer.scale, (factor) => Math.sign(factor) * 127),
        scale: layer.scale.map((factor) => Math.abs(factor) / 127),
      }
    : layers.get(layer.name)!;
  if (weights.method !== 'linear') throw new Error(`${layer.name} is not linear`);
  const x = activations.get(layer.input)!;
  const bias = Int32Array.from(layer.shift, (shift, o) =>
    roundHalfEven(shift / Math.fround(Math.fround(x.scale) * weights.scale[o])),
  );
  const accumulators = conv2dAccumulators(input, weights.codes, bias, x.zeroPoint, {
    batch,
    height: layer.inputShape.height,
    width: layer.inputShape.width,
    inChannels: layer.inputShape.channels,
    outChannels: layer.outputShape.channels,
    kernel: layer.kernel,
    strides: layer.strides,
    dilations: layer.dilations,
    pads: layer.pads,
    groups: layer.groups,
  });
  return { accumulators, scales: [...weights.scale] };
}

function plain(
  { activations, requantize }: QuantizedModel,
  layer: PlainLayer,
  y: Output,
  codes: ReadonlyMap<string, Int8Array>,
  batch: number,
): Int8Array {
  const inputs = layer.inputs.map((name) => codes.get(name)!);
  const qparams = layer.inputs.map((name) => activations.get(name)!);
  if (layer.kind === 'add') {
    const [a, b] = inputs;
    return a.map((code, i) => addInt8Reference(requantize, code, b[i], qparams[0], qparams[1], y));
  }
  if (layer.kind === 'concat') {
    const result: number[] = [];
    for (let pixel = 0; pixel < batch * layer.outputShape.height * layer.outputShape.width; pixel++) {
      for (const [i, { channels }] of layer.inputShapes.entries()) {
        for (const code of inputs[i].subarray(pixel * channels, (pixel + 1) * channels)) {
          result.push(rescaleReference(requantize, code, qparams[i], y));
        }
      }
    }
    return Int8Array.from(result);
  }
  const shape = averageShape(layer, batch);
  if (layer.kind === 'maxPool') return maxPool2dInt8(inputs[0], shape);
  const rounding = requantize === 'lab' ? 'truncate' : 'half-to-even';
  return averagePool2dInt8(inputs[0], shape, qparams[0].zeroPoint, rounding);
}

function averageShape(layer: PlainLayer, batch: number): AveragePoolShape {
  const [top, left, bottom, right] = layer.pads;
  return {
    ...poolSizes(layer.inputShapes[0], layer.outputShape, layer.kernel, layer.strides, batch),
    padTop: top,
    padLeft: left,
    padBottom: bottom,
    padRight: right,
    includePad: layer.includePad,
  };
}

function fusedPool(layer: ConvLayer, batch: number) {
  return {
    ...poolSizes(layer.convShape, layer.outputShape, [2, 2], [2, 2], batch),
    padTop: 0,
    padLeft: 0,
  };
}

function poolSizes(
  input: ConvLayer['inputShape'],
  output: ConvLayer['outputShape'],
  kernel: readonly [number, number],
  strides: readonly [number, number],
  batch: number,
) {
  return {
    batch,
    height: input.height,
    width: input.width,
    channels: input.channels,
    outputHeight: output.height,
    outputWidth: output.width,
    kernelHeight: kernel[0],
    kernelWidth: kernel[1],
    strideHeight: strides[0],
    strideWidth: strides[1],
    dilationHeight: 1,
    dilationWidth: 1,
  };
}
