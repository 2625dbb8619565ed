import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { openNode } from '../graph/ops/node.ts';
import { OPSETS } from '../graph/ops/operator.ts';
import {
  type Attributes,
  BYTE_TYPES,
  byteFlip,
  CODE_RANGE,
  type Inputs,
  inputReader,
  isScalar,
  scalarOf,
  scalesOf,
  sizeOf,
  tensorOf,
  zeroShift,
} from '../graph/ops/tensors.ts';
import { three, WINDOW_ATTRIBUTES, windowsOf } from '../graph/ops/windows.ts';
import { convInteger } from '../kernels/conv-integer.ts';
import { prepareMultipliers, type RequantizeRule, requantizeConstant } from '../quantize/requantize.ts';
import { checkRequantized } from './accumulator.ts';

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
  const names = [...WINDOW_ATTRIBUTES, 'dilations', 'group'];
  const node = openNode({ operator, opset: OPSETS.newest, inputs: [], attributes }, [], names);
  const rank = x.dims.length;
  node.ensure(rank >= 3 && rank <= 5, 'x must have rank 3 to 5: N, C and 1 to 3 spatial dimensions', x.dims);
  node.ensure(w.dims.length === rank, `w must have the rank of x, ${rank}`, w.dims);
  const group = node.integer('group', 1);
  const [batch, channels, ...size] = x.dims;
  const [outputs, groupChannels, ...kernel] = w.dims;
  node.ensure(group >= 1 && channels % group === 0, `group must divide the ${channels} channels of x`, group);
  node.ensure(outputs % group === 0, `group must divide the ${outputs} output channels of w`, group);
  node.ensure(
    channels === groupChannels * group,
    `x must have w.dims[1] * group = ${groupChannels * group} channels`,
    channels,
  );
  const shape = node.sized('kernel_shape', kernel.length, 1, kernel);
  node.ensure(
    shape.every((value, i) => value === kernel[i]),
    `kernel_shape must be the spatial dimensions of w, [${kernel}]`,
    shape,
  );
  const windows = windowsOf(node, size, kernel);
  return {
    outputDims: [batch, outputs, ...windows.output],
    group,
    input: three(size, 1),
    output: three(windows.output, 1),
    kernel: three(kernel, 1),
    strides: three(windows.strides, 1),
    dilations: three(windows.dilations, 1),
    padsBefore: three(windows.before, 0),
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
