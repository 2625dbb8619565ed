import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { OnnxDType } from '../../src/graph/ops/value.ts';
import {
  anyDims,
  broadcasting,
  FLOATS,
  float32,
  type Generator,
  nonZero,
  positive,
  type Random,
  WORDS,
} from './cases-of.ts';
import { randomTensor } from './planned.ts';

export const unary =
  (
    attributes: (random: Random) => Attributes = () => ({}),
    { opsets = [18, 22], dtypes = FLOATS, scale = 3 } = {},
  ): Generator =>
  (random) => ({
    inputs: [randomTensor(random, random.pick(dtypes), anyDims(random), scale)],
    attributes: attributes(random),
    opset: random.pick(opsets),
  });
/** Of elements where the function is defined. */
export const someOf =
  (within: (x: number) => number): Generator =>
  (random) => {
    const x = float32(random, anyDims(random), 3);
    return { inputs: [{ ...x, data: (x.data as Float32Array).map(within) } as OnnxTensor], opset: 18 };
  };
export const someFloat = (random: Random, name: string): Attributes =>
  random.next() < 0.4 ? {} : { [name]: Math.fround(random.integer(1, 20) / 8) };

export function pair(random: Random, dtype: OnnxDType): [OnnxTensor, OnnxTensor] {
  const dims = anyDims(random);
  const made: [OnnxTensor, OnnxTensor] = [
    randomTensor(random, dtype, dims),
    randomTensor(random, dtype, broadcasting(random, dims)),
  ];
  return random.next() < 0.5 ? made : [made[1], made[0]];
}
export const binary =
  (dtypes: readonly OnnxDType[] = WORDS, opsets = [14, 18]): Generator =>
  (random) => ({ inputs: pair(random, random.pick(dtypes)), opset: random.pick(opsets) });
export const divided =
  (attributes: (random: Random, dtype: OnnxDType) => Attributes = () => ({}), opsets = [14]): Generator =>
  (random) => {
    const dtype = random.pick(WORDS);
    const [a, b] = pair(random, dtype);
    return { inputs: [a, nonZero(b)], attributes: attributes(random, dtype), opset: random.pick(opsets) };
  };
export const variadic =
  (dtypes: readonly OnnxDType[]): Generator =>
  (random) => {
    const dims = anyDims(random);
    const dtype = random.pick(dtypes);
    const inputs = Array.from({ length: random.integer(1, 4) }, () =>
      randomTensor(random, dtype, broadcasting(random, dims)),
    );
    return { inputs, opset: random.pick([13, 8].filter((opset) => opset > 8 || dtype === 'float32')) };
  };

export const clip: Generator = (random) => {
  const opset = random.pick([9, 11, 12, 13]);
  const dtype: OnnxDType = opset >= 12 ? random.pick(['float32', 'int32', 'int8'] as const) : 'float32';
  const x = randomTensor(random, dtype, anyDims(random));
  if (opset < 11)
    return {
      inputs: [x],
      attributes: random.pick<Attributes>([{}, { min: -0.5 }, { max: 0.5, min: -1 }]),
      opset,
    };
  const bound = (): OnnxTensor | null => (random.next() < 0.7 ? randomTensor(random, dtype, []) : null);
  const [low, high] = [bound(), bound()];
  return { inputs: high ? [x, low, high] : low ? [x, low] : [x], opset };
};

export const cast: Generator = (random) => {
  const from = random.pick(['float32', 'int32', 'int64', 'bool', 'uint8', 'int8', 'float16'] as const);
  const to = random.pick([1, 6, 7, 9, 3, 2, 10]);
  const x = randomTensor(random, from, anyDims(random));
  // Floats beyond what an integer holds are whatever a machine makes of them.
  return {
    inputs: [x],
    attributes: { to: from === 'float32' && to === 2 ? 6 : to },
    opset: random.pick([13, 19]),
  };
};

export const power: Generator = (random) => {
  const dims = anyDims(random);
  if (random.next() < 0.5) {
    const x = positive(random, dims);
    return { inputs: [x, float32(random, broadcasting(random, dims))], opset: random.pick([9, 13]) };
  }
  const exponent = {
    dtype: 'int64',
    dims: [],
    data: BigInt64Array.of(BigInt(random.integer(0, 4))),
  } as const;
  const small = randomTensor(random, random.pick(['int32', 'float32'] as const), dims);
  return { inputs: [small, exponent], opset: 13 };
};
