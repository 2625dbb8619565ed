import { type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import type { Plan, Step } from './plan.ts';
import { type Operated, pointwise } from './pointwise-step.ts';
import { sizeOf } from './tensors.ts';
import { ANY, bitsOf, DTYPE_NUMBERS, isFloat, type OnnxDType, type Value, wordTypeOf } from './value.ts';

/** The steps that turn `x` into `to`: floats truncate and saturate at 32 bits, narrower integers wrap. */
function conversion(x: Value, to: OnnxDType): Step[] {
  const source: Operated = { at: { input: 0 }, dims: x.dims };
  const output = { output: 0 };
  const one = (operation: Parameters<typeof pointwise>[0], narrowTo: OnnxDType = 'int32') => [
    pointwise(operation, x.dtype, [source], x.dims, output, { narrowTo }),
  ];
  if (to === 'bool') return one('toBool');
  // float16 lies on the GPU as f32 and is rounded where it leaves it.
  if (isFloat(to)) return one(isFloat(x.dtype) ? 'identity' : 'toFloat');
  if (!isFloat(x.dtype)) return one('identity', to);
  if (wordTypeOf(to) === 'u32') return one('toUint');
  if (bitsOf(to) === 32) return one('toInt');
  const whole: Operated = { at: { scratch: 'whole', count: sizeOf(x.dims) }, dims: x.dims };
  return [
    pointwise('toInt', x.dtype, [source], x.dims, whole.at),
    pointwise('identity', 'int32', [whole], x.dims, output, { narrowTo: to }),
  ];
}

function plan(node: ReturnType<typeof openNode>, x: Value, to: OnnxDType): Plan {
  node.ensure(
    !(x.dtype === 'uint32' && to === 'int64'),
    'uint32 cannot be cast to int64, which is computed as int32',
    x.dtype,
  );
  const outputs = [{ dtype: to, dims: [...x.dims] }];
  if (to === x.dtype) return { outputs: [{ ...outputs[0], from: 0 }], steps: [] };
  return { outputs, steps: conversion(x, to) };
}

/** Attributes that are about 8-bit floats, which there are none of here. */
const ofNarrowFloats = ({ opset }: NodeSpec): string[] => [
  ...(opset >= 19 ? ['saturate'] : []),
  ...(opset >= 24 ? ['round_mode'] : []),
];

function checkNarrowFloats(node: ReturnType<typeof openNode>): void {
  node.flag('saturate', true);
  node.choice('round_mode', ['up', 'down', 'nearest'], 'up');
}

/** Conversions of dtype. */
export const castOperators = {
  Cast: {
    since: 6,
    plan(spec: NodeSpec) {
      const node = openNode(spec, ['input'], ['to', ...ofNarrowFloats(spec)]);
      const x = node.required('input', ANY);
      const number = node.integer('to', 0);
      const to = DTYPE_NUMBERS[number];
      const known = Object.entries(DTYPE_NUMBERS).map(([key, dtype]) => `${key} (${dtype})`);
      node.ensure(to, `to must be one of ${known.join(', ')}`, number);
      checkNarrowFloats(node);
      return plan(node, x, to);
    },
  },
  CastLike: {
    since: 15,
    plan(spec: NodeSpec) {
      const node = openNode(spec, ['input', 'target_type'], ofNarrowFloats(spec));
      checkNarrowFloats(node);
      return plan(node, node.required('input', ANY), node.required('target_type', ANY).dtype);
    },
  },
} satisfies Readonly<Record<string, Operator>>;
