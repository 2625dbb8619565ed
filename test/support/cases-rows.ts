import type { Attributes } from '../../src/graph/ops/tensors.ts';
import { windows } from './cases-layers.ts';
import { axisOf, FLOATS, float32, fullDims, type Generator, type Random, subset } from './cases-of.ts';
import { someFloat } from './cases-pointwise.ts';
import { randomTensor } from './planned.ts';

/** Rows along an axis. */
export const row =
  (opsets: readonly number[], attributes: (random: Random) => Attributes = () => ({})): Generator =>
  (random) => {
    const dims = fullDims(random, 2, 4);
    const axis = random.next() < 0.3 ? {} : { axis: axisOf(random, dims.length) };
    return {
      inputs: [float32(random, dims)],
      attributes: { ...axis, ...attributes(random) },
      opset: random.pick(opsets),
    };
  };

export const meanVariance: Generator = (random) => {
  // Of one element ONNX Runtime's deviation may be NaN.
  const dims = fullDims(random, 4, 4).map((size) => size + 1);
  const axes = subset(random, 4);
  return {
    inputs: [float32(random, dims, 3)],
    attributes: axes.length > 0 ? { axes } : {},
    opset: random.pick([9, 13]),
  };
};

export const localResponse: Generator = (random) => {
  const attributes = {
    ...someFloat(random, 'alpha'),
    ...someFloat(random, 'beta'),
    ...someFloat(random, 'bias'),
  };
  const dims = [random.integer(1, 2), random.integer(1, 7), random.integer(1, 4), random.integer(1, 4)];
  // ONNX Runtime has no even sizes.
  return {
    inputs: [float32(random, dims)],
    attributes: { ...attributes, size: random.pick([1, 3, 5]) },
    opset: 13,
  };
};

export const lpPool: Generator = (random) => {
  const { kernel, size, attributes } = windows(random, random.pick([1, 2, 2, 3]));
  const opset = random.pick([11, 18, 22]);
  if (opset < 18) delete attributes.dilations;
  const inputs = [float32(random, [random.integer(1, 2), random.integer(1, 3), ...size])];
  return { inputs, attributes: { ...attributes, kernel_shape: kernel, p: random.integer(1, 3) }, opset };
};

export const globalLpPool: Generator = (random) => ({
  inputs: [randomTensor(random, random.pick(FLOATS.slice(0, 1)), fullDims(random, 3, 5))],
  attributes: { p: random.integer(1, 3) },
  opset: 9,
});
