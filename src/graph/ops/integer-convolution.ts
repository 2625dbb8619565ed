import { prepareMultipliers } from '../../conv/requantize.ts';
import { checkRequantized } from './accumulator.ts';
import {
  CONVOLUTION_ATTRIBUTES,
  type Convolution,
  checkBias,
  forwardConvolution,
  openConvolution,
} from './convolution.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import type { Operand, Plan, Step } from './plan.ts';
import { BYTES, centred, checkScalar, isScalar, knownScales, knownZero, requantized } from './qparams.ts';
import { sizeOf } from './tensors.ts';
import { numbersOf, type Value } from './value.ts';

/** Refuses what is neither one value nor one an output channel. */
function checkPerChannel(node: Node, name: string, value: Value | null, channels: number): void {
  node.ensure(
    !value || isScalar(value) || (value.dims.length === 1 && value.dims[0] === channels),
    `${name} must be a scalar or have one element for each of the ${channels} output channels`,
    value?.dims,
  );
}

/** Zero points of a convolution; null where they are left out. */
interface Zeros {
  x: Value | null;
  w: Value | null;
}

/** The steps that sum products of codes less their zero points: padding is then a real zero. */
function summed(
  shape: Convolution,
  zeros: Zeros,
  { place }: ReturnType<typeof forwardConvolution>,
  bias: Operand | null,
  output: Operand,
): Step[] {
  const { node, x, w } = shape;
  const at = (name: string): Operand => ({ input: node.index(name) });
  const perChannel = [sizeOf(zeros.w?.dims ?? []), ...w.dims.slice(1).map(() => 1)];
  const input = centred(
    { name: 'x', at: at('x'), dims: x.dims },
    zeros.x && { value: zeros.x, at: at('x_zero_point') },
  );
  const weights = centred(
    { name: 'w', at: at('w'), dims: w.dims },
    zeros.w && { value: zeros.w, at: at('w_zero_point'), dims: perChannel },
  );
  const places = { dtype: 'int32', input: input.value.at, weights: weights.value.at, bias, output } as const;
  return [...input.steps, ...weights.steps, place(places)];
}

function convInteger(spec: NodeSpec): Plan {
  const node = openNode(spec, ['x', 'w', 'x_zero_point', 'w_zero_point'], CONVOLUTION_ATTRIBUTES);
  const x = node.required('x', BYTES);
  const w = node.required('w', BYTES);
  const zeros = { x: node.optional('x_zero_point', [x.dtype]), w: node.optional('w_zero_point', [w.dtype]) };
  checkScalar(node, 'x_zero_point', zeros.x);
  const shape = openConvolution(node, x, w, ['x', 'w']);
  const forward = forwardConvolution(shape);
  checkPerChannel(node, 'w_zero_point', zeros.w, w.dims[0]);
  return {
    outputs: [{ dtype: 'int32', dims: forward.dims }],
    steps: summed(shape, zeros, forward, null, { output: 0 }),
  };
}

function qlinearConv(spec: NodeSpec): Plan {
  const names = [
    ...['x', 'x_scale', 'x_zero_point', 'w', 'w_scale', 'w_zero_point', 'y_scale', 'y_zero_point', 'B'],
  ];
  const node = openNode(spec, names, CONVOLUTION_ATTRIBUTES);
  const x = node.required('x', BYTES);
  const w = node.required('w', BYTES);
  const [xScale, wScale, yScale] = ['x_scale', 'w_scale', 'y_scale'].map((name) =>
    node.required(name, ['float32']),
  );
  const zeros = { x: node.required('x_zero_point', [x.dtype]), w: node.required('w_zero_point', [w.dtype]) };
  const yZero = node.required('y_zero_point', BYTES);
  const bias = node.optional('B', ['int32']);
  const shape = openConvolution(node, x, w, ['x', 'w']);
  const forward = forwardConvolution(shape);
  const channels = w.dims[0];
  checkScalar(node, 'x_scale', xScale);
  checkScalar(node, 'x_zero_point', zeros.x);
  checkScalar(node, 'y_scale', yScale);
  checkPerChannel(node, 'w_scale', wScale, channels);
  checkPerChannel(node, 'w_zero_point', zeros.w, channels);
  checkBias(shape, bias, channels);
  const rule = spec.requantize ?? 'ort-f32';
  const multipliers = prepareMultipliers(
    rule,
    knownScales(node, 'x_scale', xScale)[0],
    knownScales(node, 'w_scale', wScale),
    knownScales(node, 'y_scale', yScale)[0],
  );
  const zeroPoint = knownZero(node, 'y_zero_point', yZero);
  const terms = sizeOf(w.dims.slice(1));
  checkRequantized(node, { codes: x, zeros: zeros.x }, terms, bias, () =>
    w.data && zeros.w.data ? [{ data: w.data as Int8Array, channels, zeroPoints: numbersOf(zeros.w) }] : null,
  );
  const count = sizeOf(forward.dims);
  const sums = { scratch: 'sums', count };
  return {
    outputs: [{ dtype: yZero.dtype, dims: forward.dims }],
    steps: [
      ...summed(shape, zeros, forward, bias && { input: node.index('B') }, sums),
      requantized(sums, count, {
        ...{ rule, dtype: yZero.dtype, zeroPoint, multipliers },
        stride: sizeOf(forward.dims.slice(2)),
      }),
    ],
  };
}

/** Convolutions of codes. */
export const integerConvolutionOperators = {
  ConvInteger: { since: 10, plan: convInteger },
  QLinearConv: { since: 10, plan: qlinearConv },
} satisfies Readonly<Record<string, Operator>>;
