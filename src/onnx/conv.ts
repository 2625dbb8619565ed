import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { checkCoordinates } from '../gpu/window.ts';
import { convInteger } from '../kernels/conv-integer.ts';
import { prepareMultipliers, type RequantizeRule, requantizeConstant } from '../quantize/requantize.ts';
import { checkRequantized } from './accumulator.ts';
import {
  type Attributes,
  BYTE_TYPES,
  byteFlip,
  CODE_RANGE,
  checkAttributes,
  type Inputs,
  inputReader,
  integerAttribute,
  isScalar,
  listAttribute,
  scalarOf,
  scalesOf,
  sizeOf,
  tensorOf,
  zeroShift,
} from './tensors.ts';

const ATTRIBUTES = ['auto_pad', 'dilations', 'group', 'kernel_shape', 'pads', 'strides'];

/** Every size of a convolution, its spatial ones padded in front to three. */
interface Geometry {
  outputDims: number[];
  group: number;
  input: number[];
  output: number[];
  kernel: number[];
  strides: number[];
  dilations: number[];
  padsBefore: number[];
}

/** Checks shapes and attributes by ONNX's Conv and works out the output's shape. */
function geometryOf(operator: string, x: Tensor, w: Tensor, attributes: Attributes): Geometry {
  checkAttributes(operator, attributes, ATTRIBUTES);
  const rank = x.dims.length;
  check(
    rank >= 3 && rank <= 5,
    `${operator}: x must have rank 3 to 5: N, C and 1 to 3 spatial dimensions`,
    x.dims,
  );
  check(w.dims.length === rank, `${operator}: w must have the rank of x, ${rank}`, w.dims);
  const spatial = rank - 2;
  const group = integerAttribute(operator, attributes, 'group', 1);
  const [batch, channels, ...size] = x.dims;
  const [outputs, groupChannels, ...kernel] = w.dims;
  check(
    group >= 1 && channels % group === 0,
    `${operator}: group must divide the ${channels} channels of x`,
    group,
  );
  check(outputs % group === 0, `${operator}: group must divide the ${outputs} output channels of w`, group);
  check(
    channels === groupChannels * group,
    `${operator}: x must have w.dims[1] * group = ${groupChannels * group} channels`,
    channels,
  );
  const shape = listAttribute(operator, attributes, 'kernel_shape', spatial, 1, kernel);
  check(
    shape.every((value, i) => value === kernel[i]),
    `${operator}: kernel_shape must be the spatial dimensions of w, [${kernel}]`,
    shape,
  );
  const ones = kernel.map(() => 1);
  const strides = listAttribute(operator, attributes, 'strides', spatial, 1, ones);
  const dilations = listAttribute(operator, attributes, 'dilations', spatial, 1, ones);
  const autoPad = attributes.auto_pad ?? 'NOTSET';
  check(
    ['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'].includes(String(autoPad)),
    `${operator}: auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER`,
    autoPad,
  );
  const pads = listAttribute(operator, attributes, 'pads', spatial * 2, 0, [...ones, ...ones].fill(0));
  check(
    autoPad === 'NOTSET' || pads.every((pad) => pad === 0),
    `${operator}: pads cannot be used together with auto_pad ${autoPad}`,
    pads,
  );
  const before: number[] = [];
  const output = size.map((length, i) => {
    const extent = (kernel[i] - 1) * dilations[i] + 1;
    if (String(autoPad).startsWith('SAME')) {
      const steps = Math.ceil(length / strides[i]);
      const total = Math.max((steps - 1) * strides[i] + extent - length, 0);
      before.push(autoPad === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2));
      return steps;
    }
    before.push(pads[i]);
    const padded = length + pads[i] + pads[i + spatial];
    check(
      padded >= extent,
      `${operator}: the padded input must be at least as large as the kernel's extent, ${extent}`,
      padded,
    );
    return Math.floor((padded - extent) / strides[i]) + 1;
  });
  // A step that is never taken may be of any length.
  const taken = (steps: readonly number[], counts: readonly number[]) =>
    steps.map((step, i) => (counts[i] > 1 ? step : 1));
  const [strode, dilated] = [taken(strides, output), taken(dilations, kernel)];
  for (const [i, end] of size.entries()) {
    const steps = { output: output[i], kernel: kernel[i], stride: strode[i], dilation: dilated[i] };
    checkCoordinates(`${operator}: spatial axis ${i}`, { ...steps, before: before[i], end });
  }
  const three = (values: readonly number[], fill: number) => [...Array(3 - spatial).fill(fill), ...values];
  return {
    outputDims: [batch, outputs, ...output],
    group,
    input: three(size, 1),
    output: three(output, 1),
    kernel: three(kernel, 1),
    strides: three(strode, 1),
    dilations: three(dilated, 1),
    padsBefore: three(before, 0),
  };
}

/** A value, or one an output channel. */
function perChannel(operator: string, name: string, tensor: Tensor | null, channels: number): boolean {
  if (!tensor || isScalar(tensor)) return false;
  check(
    tensor.dims.length === 1 && tensor.data.length === channels,
    `${operator}: ${name} must be a scalar or have one element for each of the ${channels} output channels`,
    tensor.dims,
  );
  return true;
}

interface Requantization {
  constant: string;
  words: Uint32Array;
  y: Tensor['dtype'];
  zeroPoint: number;
  bias: Tensor | null;
}

async function convolve(
  runtime: Runtime,
  geometry: Geometry,
  x: Tensor,
  w: Tensor,
  zeros: { input: number; weights: Tensor | null },
  requantization: Requantization | null,
): Promise<Tensor> {
  const { outputDims, group, input, output, kernel, strides, dilations, padsBefore } = geometry;
  const { device } = runtime;
  const count = sizeOf(outputDims);
  const weightZeros = Int32Array.from(zeros.weights?.data ?? [0], (zero) => zero + zeroShift(w.dtype));
  const bias = (requantization?.bias?.data as Int32Array | undefined) ?? Int32Array.of(0);
  const words = requantization?.words ?? new Uint32Array(2);
  const [low, high] = requantization ? CODE_RANGE[requantization.y]! : [0, 0];
  const kernelInteger = await convInteger.create(
    device,
    requantization ? { OUTPUT: '1u', REQUANTIZE: requantization.constant } : { OUTPUT: '0u' },
  );
  return runtime.scope(async ({ upload, empty, keep }) => {
    const byteLength = requantization ? count : count * 4;
    const result = empty(byteLength, 'conv output');
    const call = kernelInteger.bind(
      {
        input: upload(x.data, 'conv input'),
        weights: upload(w.data, 'conv weights'),
        weightZeros: upload(weightZeros),
        bias: upload(bias),
        multipliers: upload(words),
        output: result,
      },
      {
        count,
        channels: x.dims[1],
        inputDepth: input[0],
        inputHeight: input[1],
        inputWidth: input[2],
        outputChannels: w.dims[0],
        outputDepth: output[0],
        outputHeight: output[1],
        outputWidth: output[2],
        groupChannels: w.dims[1],
        groupOutputs: w.dims[0] / group,
        kernelDepth: kernel[0],
        kernelHeight: kernel[1],
        kernelWidth: kernel[2],
        strideDepth: strides[0],
        strideHeight: strides[1],
        strideWidth: strides[2],
        dilationDepth: dilations[0],
        dilationHeight: dilations[1],
        dilationWidth: dilations[2],
        padDepth: padsBefore[0],
        padHeight: padsBefore[1],
        padWidth: padsBefore[2],
        inputFlip: byteFlip(x.dtype),
        weightFlip: byteFlip(w.dtype),
        inputZero: zeros.input + zeroShift(x.dtype),
        weightZeroStride: weightZeros.length > 1 ? 1 : 0,
        biasStride: bias.length > 1 ? 1 : 0,
        multiplierStride: words.length > 2 ? 1 : 0,
        zeroPoint: requantization?.zeroPoint ?? 0,
        low,
        high,
      },
    );
    runtime.submit([keep(call)]);
    return tensorOf(requantization?.y ?? 'int32', outputDims, await runtime.read(result, byteLength));
  });
}

/** ONNX ConvInteger: x, w, x_zero_point?, w_zero_point? (scalar or one an output channel) to int32. */
export async function runConvInteger(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
): Promise<Tensor[]> {
  const operator = 'ConvInteger';
  const read = inputReader(operator, inputs, ['x', 'w', 'x_zero_point', 'w_zero_point']);
  const x = read.required('x', BYTE_TYPES);
  const w = read.required('w', BYTE_TYPES);
  const input = scalarOf(operator, 'x_zero_point', read.optional('x_zero_point', [x.dtype]));
  const weights = read.optional('w_zero_point', [w.dtype]);
  const geometry = geometryOf(operator, x, w, attributes);
  perChannel(operator, 'w_zero_point', weights, w.dims[0]);
  return [await convolve(runtime, geometry, x, w, { input, weights }, null)];
}

/** ONNX QLinearConv, requantized by `rule`. */
export async function runQLinearConv(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
  rule: RequantizeRule,
): Promise<Tensor[]> {
  const operator = 'QLinearConv';
  const names = [
    'x',
    'x_scale',
    'x_zero_point',
    'w',
    'w_scale',
    'w_zero_point',
    'y_scale',
    'y_zero_point',
    'B',
  ];
  const read = inputReader(operator, inputs, names);
  const x = read.required('x', BYTE_TYPES);
  const w = read.required('w', BYTE_TYPES);
  const [xScale, wScale, yScale] = ['x_scale', 'w_scale', 'y_scale'].map((name) =>
    read.required(name, ['float32']),
  );
  const input = scalarOf(operator, 'x_zero_point', read.required('x_zero_point', [x.dtype]));
  const weights = read.required('w_zero_point', [w.dtype]);
  const yZero = read.required('y_zero_point', BYTE_TYPES);
  const zeroPoint = scalarOf(operator, 'y_zero_point', yZero);
  const bias = read.optional('B', ['int32']);
  const geometry = geometryOf(operator, x, w, attributes);
  scalarOf(operator, 'x_scale', xScale);
  scalarOf(operator, 'y_scale', yScale);
  perChannel(operator, 'w_scale', wScale, w.dims[0]);
  perChannel(operator, 'w_zero_point', weights, w.dims[0]);
  check(
    !bias || (bias.dims.length === 1 && bias.data.length === w.dims[0]),
    `${operator}: B must have one element for each of the ${w.dims[0]} output channels`,
    bias?.dims,
  );
  const words = prepareMultipliers(
    rule,
    scalesOf(operator, 'x_scale', xScale)[0],
    scalesOf(operator, 'w_scale', wScale),
    scalesOf(operator, 'y_scale', yScale)[0],
  );
  const channels = w.dims[0];
  checkRequantized(
    operator,
    { data: x.data, zeroPoints: [input] },
    w.data.length / channels,
    (bias?.data as Int32Array | undefined) ?? null,
    () => [{ data: w.data, channels, zeroPoints: weights.data }],
  );
  const constant = await requantizeConstant(runtime, rule);
  return [
    await convolve(
      runtime,
      geometry,
      x,
      w,
      { input, weights },
      { constant, words, y: yZero.dtype, zeroPoint, bias },
    ),
  ];
}
