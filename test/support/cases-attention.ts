import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { float32, fullDims, type Generator, type Random } from './cases-of.ts';
import { randomTensor } from './planned.ts';

const some = (random: Random, probability = 0.5) => random.next() < probability;
const int32 = (dims: readonly number[], data: ArrayLike<number>): OnnxTensor => ({
  dtype: 'int32',
  dims,
  data: Int32Array.from(data),
});
const ids = (random: Random, dims: readonly number[], limit: number): OnnxTensor =>
  int32(
    dims,
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => random.integer(0, limit - 1)),
  );
const asInt64 = ({ dims, data }: OnnxTensor): OnnxTensor => ({
  dtype: 'int64',
  dims,
  data: BigInt64Array.from(data as Int32Array, BigInt),
});
const trimmed = (inputs: (OnnxTensor | null)[]) => {
  while (inputs.at(-1) === null) inputs.pop();
  return inputs;
};

export const attention: Generator = (random) => {
  const [batch, kvHeads, queries, size, valueSize] = [1, 2, 3, 4, 5].map(() => random.integer(1, 4));
  const heads = kvHeads * random.integer(1, 3);
  const attributes: Attributes = {};
  if (some(random, 0.3)) attributes.scale = 0.5;
  if (some(random, 0.2)) attributes.softcap = 2;
  const past = some(random, 0.3) ? random.integer(1, 3) : 0;
  if (some(random, 0.3)) attributes.is_causal = 1;
  // Where the diagonal lies after a past is only said for as many queries as there are new keys.
  const length = past && attributes.is_causal ? queries : random.integer(1, 4);
  const keys = past + length;
  const dims = (n: number, own: number, each: number) => [batch, n, own, each];
  const flat = some(random);
  if (flat) Object.assign(attributes, { q_num_heads: heads, kv_num_heads: kvHeads });
  const of = (n: number, own: number, each: number) =>
    float32(random, flat ? [batch, own, n * each] : dims(n, own, each));
  // A row that is all closed is NaN for some and nothing for others: the first key stays open.
  const open = (tensor: OnnxTensor) =>
    ({ ...tensor, data: (tensor.data as Uint8Array).map((x, i) => (i % keys === 0 ? 1 : x)) }) as OnnxTensor;
  const shape = random.pick([
    [queries, keys],
    [1, 1, queries, keys],
    [batch, 1, queries, keys],
    [batch, heads, queries, keys],
  ]);
  const mask = some(random)
    ? some(random)
      ? float32(random, shape)
      : open(randomTensor(random, 'bool', shape))
    : null;
  const inputs = [of(heads, queries, size), of(kvHeads, length, size), of(kvHeads, length, valueSize), mask];
  if (past)
    inputs.push(float32(random, dims(kvHeads, past, size)), float32(random, dims(kvHeads, past, valueSize)));
  return { inputs: trimmed(inputs), attributes, opset: 23, outputs: past ? 3 : 1 };
};

export const rotary =
  (microsoft: boolean): Generator =>
  (random) => {
    const [batch, length, heads, half] = [
      random.integer(1, 3),
      random.integer(1, 4),
      random.integer(1, 3),
      random.integer(1, 4),
    ];
    const size = 2 * half;
    // ONNX Runtime's own has no odd halves in a part.
    const rotated = !microsoft && some(random, 0.3) ? 2 * random.integer(1, half) : size;
    const four = some(random);
    const x = float32(random, four ? [batch, heads, length, size] : [batch, length, heads * size]);
    const most = length + 3;
    const interleaved = random.integer(0, 1);
    const positions = asInt64(
      some(random) || !microsoft ? ids(random, [batch, length], most) : ids(random, [1], 3),
    );
    const caches = () => float32(random, [most, rotated / 2]);
    if (microsoft) {
      const attributes = { interleaved, ...(!four && some(random) && { num_heads: heads }) };
      return { inputs: [x, positions, caches(), caches()], attributes, opset: 17 };
    }
    const attributes: Attributes = {
      interleaved,
      ...(rotated !== size && { rotary_embedding_dim: rotated }),
      ...(!four && { num_heads: heads }),
    };
    const placed = () => float32(random, [batch, length, rotated / 2]);
    const inputs = some(random) ? [x, caches(), caches(), positions] : [x, placed(), placed()];
    return { inputs, attributes, opset: 23 };
  };

/** A mask of keys: by lengths, or each. */
function keyMask(random: Random, batch: number, keys: number): OnnxTensor | null {
  const how = random.pick(['none', 'lengths', 'keys']);
  if (how === 'none') return null;
  if (how === 'lengths')
    return int32(
      [batch],
      Array.from({ length: batch }, () => random.integer(1, keys)),
    );
  return int32(
    [batch, keys],
    Array.from({ length: batch * keys }, (_, i) => (i % keys === 0 ? 1 : random.integer(0, 1))),
  );
}

export const packedAttention: Generator = (random) => {
  const [batch, length, width, heads, size] = [1, 2, 3, 4, 5].map(() => random.integer(1, 4));
  const hidden = heads * size;
  const attributes: Attributes = { num_heads: heads };
  if (some(random, 0.3)) attributes.scale = 0.5;
  const mask = keyMask(random, batch, length);
  // With both ONNX Runtime adds two fillers, which float32 cannot tell from one.
  if (!mask && some(random, 0.4)) attributes.unidirectional = 1;
  const inputs = [
    float32(random, [batch, length, width]),
    float32(random, [width, 3 * hidden]),
    float32(random, [3 * hidden]),
    mask,
  ];
  return { inputs: trimmed(inputs), attributes, opset: 17 };
};

export const multiHeadAttention: Generator = (random) => {
  const [batch, queries, keys, heads, size] = [1, 2, 3, 4, 5].map(() => random.integer(1, 4));
  const hidden = heads * size;
  const attributes: Attributes = { num_heads: heads };
  if (some(random, 0.3)) attributes.scale = 0.5;
  const far = [batch, keys, hidden];
  const inputs = [
    float32(random, [batch, queries, hidden]),
    float32(random, far),
    float32(random, far),
    some(random) ? float32(random, [3 * hidden]) : null,
    keyMask(random, batch, keys),
    some(random, 0.3) ? float32(random, [batch, heads, queries, keys]) : null,
  ];
  return { inputs: trimmed(inputs), attributes, opset: 17 };
};

export const biased =
  (optional: boolean): Generator =>
  (random) => {
    const dims = fullDims(random, 1, 4);
    const bias = float32(random, dims.slice(-1));
    return { inputs: [float32(random, dims, 3), ...(optional && some(random) ? [] : [bias])], opset: 17 };
  };

export const fusedMatMul: Generator = (random) => {
  const [m, k, n] = [1, 2, 3].map(() => random.integer(1, 5));
  const batch = fullDims(random, 0, 2);
  const [transA, transB] = [random.integer(0, 1), random.integer(0, 1)];
  const matrix = (rows: number, columns: number, turned: number) =>
    turned ? [columns, rows] : [rows, columns];
  const inputs = [
    float32(random, [...batch, ...matrix(m, k, transA)]),
    float32(random, [...batch, ...matrix(k, n, transB)]),
  ];
  return { inputs, attributes: { transA, transB, ...(some(random) && { alpha: 0.25 }) }, opset: 17 };
};

export const skipNorm =
  (centered: boolean): Generator =>
  (random) => {
    const dims = [random.integer(1, 3), random.integer(1, 3), random.integer(2, 6)];
    const vector = () => float32(random, dims.slice(-1));
    const inputs: (OnnxTensor | null)[] = [float32(random, dims), float32(random, dims), vector()];
    if (centered) inputs.push(some(random) ? vector() : null);
    inputs.push(some(random) ? vector() : null);
    return { inputs: trimmed(inputs), attributes: { epsilon: 0.001 }, opset: 17 };
  };

export const embedNorm: Generator = (random) => {
  const [batch, length, width] = [random.integer(1, 3), random.integer(1, 4), random.integer(2, 5)];
  const table = (rows: number) => float32(random, [rows, width]);
  const segments = some(random);
  const inputs = [
    ids(random, [batch, length], 7),
    segments ? ids(random, [batch, length], 2) : null,
    table(7),
    table(length + 2),
    segments ? table(2) : null,
    float32(random, [width]),
    float32(random, [width]),
    some(random)
      ? int32(
          [batch, length],
          Array.from({ length: batch * length }, (_, i) => Number(i % length < 2)),
        )
      : null,
    some(random) ? ids(random, [batch, length], length + 2) : null,
  ];
  return { inputs: trimmed(inputs), attributes: { epsilon: 0.001 }, opset: 17, outputs: 2 };
};

export const matMulNBits: Generator = (random) => {
  const [N, K] = [random.integer(1, 5), random.integer(1, 3) * 16 + random.integer(0, 3) * 4];
  const [bits, block_size] = [4, random.pick([16, 32])];
  const blocks = Math.ceil(K / block_size);
  const blob = (block_size * bits) / 8;
  const bytes = (dims: number[]) => randomTensor(random, 'uint8', dims);
  const inputs: (OnnxTensor | null)[] = [
    float32(random, [...fullDims(random, 0, 2), K]),
    bytes([N, blocks, blob]),
    float32(random, [N * blocks]),
    some(random) ? bytes([N * Math.ceil((blocks * bits) / 8)]) : null,
  ];
  return { inputs: trimmed(inputs), attributes: { K, N, bits, block_size }, opset: 17 };
};
