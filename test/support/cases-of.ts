import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { OnnxDType } from '../../src/graph/ops/value.ts';
import { randomTensor } from './planned.ts';
import type { seeded } from './runtime.ts';

export type Random = ReturnType<typeof seeded>;

/** One node and what it reads. */
export interface OperatorCase {
  inputs: readonly (OnnxTensor | null)[];
  attributes?: Attributes;
  opset: number;
  outputs?: number;
}

export const FLOATS: readonly OnnxDType[] = ['float32', 'float32', 'float32', 'float16'];
export const WORDS: readonly OnnxDType[] = ['float32', 'int32', 'int64'];

/** A shape of any rank up to 5; now and then with a dimension of 0 or 1. */
export function anyDims(random: Random, low = 0, high = 5): number[] {
  return Array.from({ length: random.integer(low, high) }, () => random.pick([0, 1, 1, 2, 3, 4, 5, 2, 3]));
}
export const fullDims = (random: Random, low = 0, high = 5) =>
  anyDims(random, low, high).map((size) => size || 2);

/** A shape that broadcasts with another one. */
export const broadcasting = (random: Random, dims: readonly number[]) =>
  dims.slice(random.integer(0, dims.length)).map((size) => (random.next() < 0.3 ? 1 : size));

export const float32 = (random: Random, dims: readonly number[], scale = 1) =>
  randomTensor(random, 'float32', dims, scale);
export const positive = (
  random: Random,
  dims: readonly number[],
  dtype: OnnxDType = 'float32',
): OnnxTensor => {
  const tensor = randomTensor(random, dtype, dims, 1);
  if (dtype !== 'float32') return tensor;
  return { ...tensor, data: (tensor.data as Float32Array).map((x) => 0.2 + Math.abs(x)) } as OnnxTensor;
};
export const nonZero = (tensor: OnnxTensor): OnnxTensor => {
  const one = tensor.dtype === 'int64' ? 3n : 3;
  return { ...tensor, data: (tensor.data as Int32Array).map((x) => x || (one as number)) } as OnnxTensor;
};
export const float32s = (...values: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims: [values.length],
  data: Float32Array.from(values),
});
export const axisOf = (random: Random, rank: number) => random.integer(-rank, rank - 1);
export const subset = (random: Random, rank: number) =>
  Array.from({ length: rank }, (_, i) => i)
    .filter(() => random.next() < 0.5)
    .map((axis) => (random.next() < 0.3 ? axis - rank : axis))
    .sort(() => random.next() - 0.5);
export const shuffled = <T>(random: Random, values: readonly T[]) => {
  const left = [...values];
  return values.map(() => left.splice(random.integer(0, left.length - 1), 1)[0]);
};

export type Generator = (random: Random) => OperatorCase;
