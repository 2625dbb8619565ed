// Inputs for the operators that are not on packed codes: element-wise functions, moves, reductions, products, pools.
import type { Tensor } from '../../src/gpu/tensor.ts';
import type { Random } from './random.ts';

type Made = { inputs: (Tensor | undefined)[]; attributes: Record<string, unknown> };

const DTYPES = ['float32', 'float32', 'float32', 'int32', 'uint8', 'int8', 'bool', 'float16'] as const;
/** Sizes and axes; what passes 32 bits becomes the largest that does not. */
const integers = (values: number[]): Tensor => ({
  dtype: 'int32',
  dims: [values.length],
  data: Int32Array.from(values, (value) => Math.min(value, 2 ** 31 - 1)),
});
const count = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

function filled(random: Random, dtype: (typeof DTYPES)[number], dims: number[]): Tensor {
  const values = random.list(count(dims), () =>
    random.chance(0.02) ? random.int(3) * 100 : random.next() * 6 - 3,
  );
  const whole = values.map(Math.trunc);
  switch (dtype) {
    case 'int32':
      return { dtype, dims, data: Int32Array.from(whole) };
    case 'int8':
      return { dtype, dims, data: Int8Array.from(whole) };
    case 'float16':
      return { dtype, dims, data: Uint16Array.from(whole, (v) => 0x3c00 + v) };
    case 'float32':
      return { dtype, dims, data: Float32Array.from(values, (v) => (random.chance(0.01) ? Number.NaN : v)) };
    default:
      return { dtype, dims, data: Uint8Array.from(whole, (v) => (dtype === 'bool' ? v & 1 : v)) };
  }
}

const rank = (random: Random, highest = 5) => random.int(highest);
const shape = (random: Random, dims = rank(random)) =>
  random.list(dims, () => random.pick([0, 1, 1, 2, 3, 4, 5]));
/** Dims that broadcast against others, mostly. */
const near = (random: Random, dims: number[]) =>
  (random.chance(0.3) ? dims.slice(random.int(dims.length + 1)) : dims).map((dim) =>
    random.chance(0.2) ? 1 : random.chance(0.03) ? dim + 1 : dim,
  );
const axisOf = (random: Random, dims: number[]) => random.int(2 * dims.length + 2) - dims.length - 1;

/** Attributes by what the operator's kind takes; a few that it does not. */
function attributesOf(random: Random, operator: string, dims: number[]): Record<string, unknown> {
  const made: Record<string, unknown> = {};
  const maybe = (name: string, value: () => unknown, probability = 0.5) => {
    if (random.chance(probability)) made[name] = value();
  };
  const spatial = Math.max(0, dims.length - 2);
  if (/^(Reduce|Arg|Softmax|LogSoftmax|Concat|Gather|Split|Flatten|Layer|RMS)/.test(operator))
    maybe('axis', () => axisOf(random, dims));
  if (/^(Reduce|Arg)/.test(operator)) maybe('keepdims', () => random.pick([0, 1, 1, 2]));
  if (/Elu|Selu|Celu|LeakyRelu|HardSigmoid|Thresholded|Gemm/.test(operator))
    maybe('alpha', () => random.pick([0.1, 1, -2, 0]));
  if (operator === 'Transpose') maybe('perm', () => random.shuffled(dims.map((_, i) => i)), 0.8);
  if (operator === 'Cast') made.to = random.pick([1, 2, 3, 6, 7, 9, 10, 11, 99]);
  if (operator === 'Gemm') for (const name of ['transA', 'transB']) maybe(name, () => random.int(2));
  if (/DepthToSpace|SpaceToDepth/.test(operator)) made.blocksize = random.pick([1, 2, 3, 0]);
  if (/^(Conv|MaxPool|AveragePool)/.test(operator)) {
    const each = (values: readonly number[], times = spatial) =>
      random.list(times, () => random.pick(values));
    if (/Pool/.test(operator)) made.kernel_shape = each([1, 2, 3]);
    maybe('strides', () => each(random.chance(0.97) ? [1, 2, 3] : [0, 2 ** 31]));
    maybe('pads', () => each(random.chance(0.97) ? [0, 1] : [-1, 2 ** 31], 2 * spatial));
    maybe('dilations', () => each(random.chance(0.97) ? [1, 2] : [0, 2 ** 30]), 0.3);
    maybe('auto_pad', () => random.pick(['SAME_UPPER', 'SAME_LOWER', 'VALID', 'NOTSET', 'x']), 0.2);
    maybe('ceil_mode', () => random.int(2), 0.2);
  }
  if (/Resize|Upsample/.test(operator)) maybe('mode', () => random.pick(['nearest', 'linear', 'cubic', 'x']));
  if (operator === 'GroupNormalization') made.num_groups = random.pick([1, 2, 0, 3]);
  if (/ConstantOfShape|Constant/.test(operator))
    maybe('value', () => filled(random, random.pick(DTYPES), [1]), 0.8);
  maybe('unknown', () => 1, 0.02);
  return made;
}

/** Inputs by what the operator's kind takes. */
function inputsOf(
  random: Random,
  operator: string,
  dims: number[],
  dtype: (typeof DTYPES)[number],
): (Tensor | undefined)[] {
  const x = filled(random, dtype, dims);
  const channels = dims[1] ?? 1;
  const some = (...sizes: number[]) => filled(random, dtype, sizes);
  const spatial = dims.slice(2);
  switch (true) {
    case operator === 'Where':
      return [filled(random, 'bool', near(random, dims)), x, filled(random, dtype, near(random, dims))];
    case /^(Add|Sub|Mul|Div|Pow|Mod|PRelu|Equal|Less|Greater|And|Or|Xor|Bitwise(And|Or|Xor)|CastLike)/.test(
      operator,
    ):
      return [x, filled(random, dtype, near(random, dims))];
    case /^(Min|Max|Sum|Mean|Concat)$/.test(operator):
      return [x, ...random.list(random.int(3), () => filled(random, dtype, near(random, dims)))];
    case /^(Conv|ConvTranspose)$/.test(operator):
      return [
        x,
        some(random.int(4), random.chance(0.9) ? channels : 2, ...spatial.map(() => 1 + random.int(3))),
      ];
    case operator === 'MatMul' || operator === 'Gemm':
      return [
        x,
        filled(random, dtype, [
          ...dims.slice(0, -2),
          random.chance(0.9) ? (dims.at(-1) ?? 1) : 2,
          random.int(5),
        ]),
      ];
    case operator === 'BatchNormalization':
      return [x, ...random.list(4, () => some(channels))];
    case /Normalization$/.test(operator):
      return [x, some(random.chance(0.7) ? channels : (dims.at(-1) ?? 1)), some(channels)];
    case operator === 'Clip':
      return [x, random.chance(0.7) ? some() : undefined, some()];
    case operator === 'Reshape' || operator === 'Expand':
      return [
        x,
        integers(
          random.chance(0.5) ? random.shuffled(dims) : random.pick([[-1], [0, -1], [1, ...dims], [2 ** 40]]),
        ),
      ];
    case operator === 'Tile':
      return [x, integers(dims.map(() => (random.chance(0.98) ? random.int(3) : 2 ** 33)))];
    case operator === 'Pad':
      return [
        x,
        integers(random.list(2 * dims.length, () => (random.chance(0.97) ? random.int(4) - 1 : 2 ** 33))),
      ];
    case operator === 'Slice':
      return [x, integers(dims.map(() => random.int(5) - 2)), integers(dims.map(() => random.int(9) - 3))];
    case operator === 'Gather':
      return [x, integers(random.list(random.int(3), () => random.int(6) - 2))];
    case /^(Squeeze|Unsqueeze|Split|Reduce)/.test(operator):
      return random.chance(0.5)
        ? [x]
        : [x, integers(random.list(1 + random.int(2), () => axisOf(random, dims)))];
    case operator === 'ConstantOfShape':
      return [integers(random.chance(0.97) ? dims : [2 ** 40])];
    case operator === 'Range':
      return [some(), some(), some()];
    case /Resize|Upsample/.test(operator): {
      const scales = {
        dtype: 'float32' as const,
        dims: [dims.length],
        data: Float32Array.from(dims, () => random.pick([1, 2, 0.5, 0, 1e9])),
      };
      return operator === 'Resize' ? [x, undefined, scales] : [x, scales];
    }
    case operator === 'Constant':
      return [];
    default:
      return [x];
  }
}

/** A call of any operator: nearly right, most of the time. */
export function makeFloatCall(random: Random, operator: string): Made {
  const isSpatial = /Conv|Pool|Resize|Upsample|Depth|BatchNorm|InstanceNorm|GroupNorm/.test(operator);
  const dims = shape(random, isSpatial ? 3 + random.int(3) : rank(random));
  const dtype = random.chance(0.7) ? 'float32' : random.pick(DTYPES);
  return {
    inputs: inputsOf(random, operator, dims, dtype),
    attributes: attributesOf(random, operator, dims),
  };
}
