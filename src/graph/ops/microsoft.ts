// Operators that ONNX Runtime's optimizer writes: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
import { attend, type Heads, headsFirst, headsOf, joinedHeads, rotate } from './attention.ts';
import { type Composer, composed, type Part, relabelled } from './compose.ts';
import type { Node } from './node.ts';
import type { Operator } from './operator.ts';
import { pointwise } from './pointwise-step.ts';
import { product } from './product.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, INDICES, type OnnxDType } from './value.ts';

type Build = Parameters<typeof composed>[3];

const microsoft = (names: readonly string[], attributes: readonly string[], build: Build): Operator => ({
  ...composed(1, names, attributes, build),
  domain: 'com.microsoft',
});

const scalar = (c: Composer, value: number) => c.constant('float32', value);

/** What an activation's name stands for, of a sum with a bias that may be left out. */
const gelu = (approximate: 'none' | 'tanh', names: readonly string[]): Operator =>
  microsoft(names, [], (c, node) => {
    const { dtype } = node.required(names[0], FLOATS);
    const biased = c.has(1) ? c.op('Add', [c.float(0), c.float(1)]) : c.float(0);
    return [relabelled(c.op('Gelu', [biased], { approximate }), dtype)];
  });

const quickGelu = microsoft(['X'], ['alpha'], (c, node) => {
  const { dtype, dims } = node.required('X', FLOATS);
  const p = node.float('alpha', 1.702);
  const step = pointwise('swish', 'float32', [{ at: { input: 0 }, dims }], dims, { output: 0 }, { p });
  return [
    relabelled(c.place({ outputs: [{ dtype: 'float32', dims }], steps: [step] }, [c.float(0)])[0], dtype),
  ];
});

/** A product of transposed matrices times a number; a batch may be transposed into the matrices, too. */
const fusedMatMul = microsoft(
  ['A', 'B'],
  ['alpha', 'transA', 'transB', 'transBatchA', 'transBatchB'],
  (c, node) => {
    const { dtype } = node.required('A', FLOATS);
    node.required('B', FLOATS);
    const operand = (place: number, letter: string) => {
      const x = c.float(place);
      const rank = x.dims.length;
      let perm = x.dims.map((_, i) => i);
      if (node.flag(`transBatch${letter}`, false) && rank > 2) perm = [...perm.slice(1, -1), 0, rank - 1];
      if (node.flag(`trans${letter}`, false) && rank > 1)
        perm = [...perm.slice(0, -2), perm[rank - 1], perm[rank - 2]];
      return c.transpose(x, perm);
    };
    const made = c.op('MatMul', [operand(0, 'A'), operand(1, 'B')]);
    const alpha = node.float('alpha', 1);
    return [relabelled(alpha === 1 ? made : c.op('Mul', [made, scalar(c, alpha)]), dtype)];
  },
);

/** A normalization of the sum of two tensors and a bias; the sum is the fourth output. */
function skipNormalization(centered: boolean): Operator {
  const names = ['input', 'skip', 'gamma', ...(centered ? ['beta'] : []), 'bias'];
  return microsoft(names, ['epsilon'], (c, node, spec) => {
    const { dtype, dims } = node.required('input', FLOATS);
    for (const name of ['skip', 'gamma']) node.required(name, FLOATS);
    const bias = names.length - 1;
    const skipped = c.op('Add', [c.float(0), c.float(1)]);
    node.ensure(`${skipped.dims}` === `${dims}`, `skip must broadcast to input, [${dims}]`, c.float(1).dims);
    const sum = c.has(bias) ? c.op('Add', [skipped, c.float(bias)]) : skipped;
    const epsilon = node.float('epsilon', 1e-12);
    const wide = relabelled(sum, dtype);
    if (!centered) {
      const y = c.op('RMSNormalization', [sum, c.float(2)], { epsilon });
      const none = scalar(c, 0);
      return (spec.outputs ?? 1) > 1 ? [relabelled(y, dtype), none, none, wide] : [relabelled(y, dtype)];
    }
    const inputs = [sum, c.float(2), c.has(3) ? c.float(3) : null];
    if ((spec.outputs ?? 1) === 1)
      return [relabelled(c.op('LayerNormalization', inputs, { epsilon }), dtype)];
    const [y, mean, deviation] = c.several('LayerNormalization', inputs, { epsilon }, 3);
    return [relabelled(y, dtype), mean, deviation, wide];
  });
}

const EMBEDDED = [
  ...[
    'input_ids',
    'segment_ids',
    'word_embedding',
    'position_embedding',
    'segment_embedding',
    'gamma',
    'beta',
  ],
  ...['mask', 'position_ids'],
];

/** Rows of three tables, added and normalized. */
const embedLayerNormalization = microsoft(EMBEDDED, ['epsilon', 'mask_index_type'], (c, node, spec) => {
  const { dims } = node.required('input_ids', INDICES);
  const { dtype } = node.required('word_embedding', FLOATS);
  for (const name of ['position_embedding', 'gamma', 'beta']) node.required(name, FLOATS);
  node.integer('mask_index_type', 1);
  const [batch, length] = dims;
  const places = c.has(8) ? c.input(8) : c.places(length, 2);
  let sum = c.op('Add', [c.op('Gather', [c.float(2), c.input(0)]), c.op('Gather', [c.float(3), places])]);
  if (c.has(1) && c.has(4)) sum = c.op('Add', [sum, c.op('Gather', [c.float(4), c.input(1)])]);
  const y = c.op('LayerNormalization', [sum, c.float(5), c.float(6)], {
    epsilon: node.float('epsilon', 1e-12),
  });
  if ((spec.outputs ?? 1) === 1) return [relabelled(y, dtype)];
  const lengths = c.has(7)
    ? c.op('ReduceSum', [relabelled(c.input(7), 'int32'), c.list(1)], { keepdims: 0 })
    : c.constant('int32', new Float64Array(batch), [batch]);
  return [relabelled(y, dtype), lengths, relabelled(sum, dtype)];
});

/** What a mask of keys adds to the scores: one of lengths, of keys, or of queries and keys. */
function paddingBias(
  c: Composer,
  node: Node,
  place: number,
  name: string,
  batch: number,
  keys: number,
): Part {
  const mask = c.input(place);
  node.required(name, ['int32']);
  const filter = node.float('mask_filter_value', -10000);
  const { dims } = mask;
  const open =
    dims.length === 1
      ? c.op('Less', [c.places(keys, 4, 3), c.reshape(relabelled(mask, 'int64'), [batch, 1, 1, 1])])
      : c.cast(c.reshape(mask, dims.length === 2 ? [batch, 1, 1, keys] : [batch, 1, dims[1], keys]), 'bool');
  return c.op('Where', [open, scalar(c, 0), scalar(c, filter)]);
}

const scaleOf = (node: Node, size: number) => node.float('scale', 0) || 1 / Math.sqrt(size);

/** Attention whose queries, keys and values are one product of its input. */
const packedAttention = microsoft(
  ['input', 'weights', 'bias', 'mask_index', 'past', 'attention_bias', 'past_sequence_length'],
  [
    'num_heads',
    'unidirectional',
    'qkv_hidden_sizes',
    'scale',
    'mask_filter_value',
    'do_rotary',
    'past_present_share_buffer',
    'rotary_embedding_dim',
  ],
  (c, node, spec) => {
    const { dtype, dims } = node.required('input', FLOATS);
    const weights = node.required('weights', FLOATS).dims;
    node.ensure(
      dims.length === 3 && weights.length === 2 && weights[0] === dims[2],
      'input must have rank 3, and weights as many rows as it has columns',
      weights,
    );
    node.ensure(
      !c.has(4) && !c.has(6) && (spec.outputs ?? 1) === 1,
      'past must be left out: its present would be an output',
      'a past',
    );
    node.ensure(!node.flag('do_rotary', false), 'do_rotary must be 0', 1);
    const [batch, length] = dims;
    const width = weights[1];
    const sizes = node.list('qkv_hidden_sizes') ?? [width / 3, width / 3, width / 3];
    const heads = node.integer('num_heads', 0);
    node.ensure(
      sizes.length === 3 &&
        sizes[0] === sizes[1] &&
        sizes[0] * 2 + sizes[2] === width &&
        sizes.every((size) => heads > 0 && size % heads === 0),
      `num_heads must divide the sizes of queries, keys and values, [${sizes}]`,
      heads,
    );
    const plain = c.op('MatMul', [c.float(0), c.float(1)]);
    const all = c.has(2) ? c.op('Add', [plain, c.float(2)]) : plain;
    const [q, k, v] = sizes.map((own, i): Heads => {
      const size = own / heads;
      const strides = { batch: length * width, head: size, row: width };
      return { part: all, batch, heads, length, size, strides, offset: i === 0 ? 0 : sizes[0] * i };
    });
    const biases = c.has(3) ? [paddingBias(c, node, 3, 'mask_index', batch, length)] : [];
    if (c.has(5)) biases.push(c.float(5));
    const causal = node.flag('unidirectional', false) ? { past: 0 } : null;
    return [
      relabelled(
        joinedHeads(c, attend(c, { q, k, v, biases, causal, scale: scaleOf(node, q.size) }).output),
        dtype,
      ),
    ];
  },
);

const ATTENDED = [
  'query',
  'key',
  'value',
  'bias',
  'key_padding_mask',
  'attention_bias',
  'past_key',
  'past_value',
];

/** Attention of queries, keys and values that are there already, with one bias for all three. */
const multiHeadAttention = microsoft(
  ATTENDED,
  ['num_heads', 'mask_filter_value', 'scale', 'unidirectional'],
  (c, node, spec) => {
    const { dtype, dims } = node.required('query', FLOATS);
    node.ensure(dims.length === 3, 'query must have rank 3: batch, length and heads side by side', dims);
    for (const name of ['key', 'value']) node.required(name, FLOATS);
    const heads = node.integer('num_heads', 0);
    node.ensure(
      heads > 0 && dims[2] % heads === 0,
      'num_heads must divide the last dimension of query',
      heads,
    );
    let from = 0;
    const [q, newK, newV] = [0, 1, 2].map((place) => {
      const x = c.float(place);
      const width = x.dims.length === 4 ? x.dims[1] * x.dims[3] : x.dims[2];
      const start = from;
      from += width;
      if (!c.has(3) || x.dims.length === 4) return headsOf(x, heads);
      return headsOf(c.op('Add', [x, c.slice(c.float(3), 0, start, from)]), heads);
    });
    const withPast = (own: Heads, place: number) =>
      c.has(place) && c.float(place).dims[2] > 0
        ? headsOf(c.op('Concat', [c.float(place), headsFirst(c, own)], { axis: 2 }))
        : own;
    const [k, v] = [withPast(newK, 6), withPast(newV, 7)];
    const biases = c.has(4) ? [paddingBias(c, node, 4, 'key_padding_mask', q.batch, k.length)] : [];
    if (c.has(5)) biases.push(c.float(5));
    const causal = node.flag('unidirectional', false) ? { past: k.length - q.length } : null;
    const made = attend(c, { q, k, v, biases, causal, scale: scaleOf(node, q.size) });
    const present = (spec.outputs ?? 1) > 1 ? [headsFirst(c, k), headsFirst(c, v)] : [];
    return [joinedHeads(c, made.output), ...present].map((part) => relabelled(part, dtype));
  },
);

const rotaryEmbedding = microsoft(
  ['input', 'position_ids', 'cos_cache', 'sin_cache'],
  ['interleaved', 'num_heads', 'rotary_embedding_dim', 'scale', 'is_packed_batching'],
  (c, node) => {
    const { dtype, dims } = node.required('input', FLOATS);
    const positions = node.required('position_ids', INDICES);
    const cache = node.required('cos_cache', FLOATS).dims;
    node.required('sin_cache', FLOATS);
    node.ensure(node.float('scale', 1) === 1, 'scale must be 1', node.float('scale', 1));
    const partly = node.integer('rotary_embedding_dim', 0);
    const count = node.integer('num_heads', 0);
    const [batch, length] = dims.length === 4 ? [dims[0], dims[2]] : dims;
    const size = dims.length === 4 ? dims[3] : count > 0 ? dims[2] / count : cache[1] * 2;
    const heads = dims.length === 4 ? dims[1] : dims[2] / size;
    const x =
      dims.length === 4
        ? c.transpose(c.float(0), [0, 2, 1, 3])
        : c.reshape(c.float(0), [batch, length, heads, size]);
    const rotated = partly || size;
    node.ensure(
      cache.length === 2 && cache[1] * 2 === rotated,
      `cos_cache must have ${rotated / 2} columns`,
      cache,
    );
    // One number is where the sequences begin.
    const own = relabelled(c.input(1), 'int64');
    const where =
      sizeOf(positions.dims) === 1 && batch * length > 1
        ? c.op('Expand', [c.op('Add', [c.reshape(own, [1, 1]), c.places(length, 2)]), c.list(batch, length)])
        : own;
    const [cos, sin] = [2, 3].map((place) =>
      c.reshape(c.op('Gather', [c.float(place), where]), [batch, length, 1, rotated / 2]),
    );
    const made = rotate(c, { x, cos, sin, rotated, interleaved: node.flag('interleaved', false) });
    return [relabelled(dims.length === 4 ? c.transpose(made, [0, 2, 1, 3]) : c.reshape(made, dims), dtype)];
  },
);

const BYTES: readonly OnnxDType[] = ['uint8'];

/** A product with weights of few bits, a scale a block of each column; the host expands them. */
const matMulNBits = microsoft(
  ['A', 'B', 'scales', 'zero_points', 'g_idx', 'bias'],
  ['K', 'N', 'bits', 'block_size', 'accuracy_level'],
  (c, node) => {
    const { dtype, dims } = node.required('A', FLOATS);
    const [K, N, bits, block] = ['K', 'N', 'bits', 'block_size'].map((name) =>
      node.integer(name, name === 'bits' ? 4 : 0),
    );
    node.ensure([2, 4, 8].includes(bits), 'bits must be 2, 4 or 8', bits);
    node.ensure(
      dims.at(-1) === K && block >= 16,
      `A must have K = ${K} columns, and block_size be 16 or more`,
      dims,
    );
    node.ensure(!c.has(4), 'g_idx must be left out', 'an order of the rows');
    node.integer('accuracy_level', 0);
    const blocks = Math.ceil(K / block);
    node.required('scales', FLOATS);
    const bytes = node.required('B', BYTES);
    node.ensure(
      sizeOf(bytes.dims) === (N * blocks * block * bits) / 8,
      `B must hold ${N} columns of ${blocks} blocks`,
      bytes.dims,
    );
    const [codes, scales] = [node.numbers('B', BYTES)!, node.numbers('scales', FLOATS)!];
    const zeros = node.optional('zero_points', [...BYTES, ...FLOATS]);
    const zeroPoints = zeros && node.numbers('zero_points', [...BYTES, ...FLOATS])!;
    const perByte = 8 / bits;
    const codeAt = (list: readonly number[], row: number, at: number, rowBytes: number) =>
      (list[row * rowBytes + Math.floor(at / perByte)] >> ((at % perByte) * bits)) & (2 ** bits - 1);
    const zeroAt = (n: number, b: number) => {
      if (!zeroPoints) return 2 ** (bits - 1);
      return zeros.dtype === 'uint8'
        ? codeAt(zeroPoints, n, b, Math.ceil(blocks / perByte))
        : zeroPoints[n * blocks + b];
    };
    const expanded = new Float64Array(N * K);
    for (let n = 0; n < N; n++) {
      for (let k = 0; k < K; k++) {
        const b = Math.floor(k / block);
        const code = codeAt(codes, n * blocks + b, k - b * block, (block * bits) / 8);
        expanded[n * K + k] = (code - zeroAt(n, b)) * scales[n * blocks + b];
      }
    }
    const M = sizeOf(dims.slice(0, -1));
    const made = product(
      { a: { input: 0 }, b: { input: 1 }, ...(c.has(5) && { addend: { input: 2 } }), output: { output: 0 } },
      {
        dtype: 'float32',
        M,
        N,
        K,
        aStrides: [K, 1],
        bStrides: [1, K],
        addendStrides: [0, 1],
        pairs: [[0, 0]],
      },
    );
    const outputs = [{ dtype: 'float32' as const, dims: [...dims.slice(0, -1), N] }];
    const inputs = [c.float(0), c.constant('float32', expanded, [N, K]), c.has(5) ? c.float(5) : null];
    return [relabelled(c.place({ outputs, steps: [made] }, inputs)[0], dtype)];
  },
);

const simplified: Operator = composed(1, ['X', 'scale'], ['axis', 'epsilon', 'stash_type'], (c, node) => {
  const { dtype } = node.required('X', FLOATS);
  node.required('scale', FLOATS);
  const attributes = { axis: node.integer('axis', -1), epsilon: node.float('epsilon', 1e-5) };
  return [relabelled(c.op('RMSNormalization', [c.float(0), c.float(1)], attributes), dtype)];
});

/** ONNX Runtime's own operators; those that share a name with ONNX's stand under their domain. */
export const microsoftOperators = {
  'com.microsoft.Gelu': gelu('none', ['X']),
  BiasGelu: gelu('none', ['A', 'B']),
  FastGelu: gelu('tanh', ['X', 'bias']),
  QuickGelu: quickGelu,
  FusedMatMul: fusedMatMul,
  SkipLayerNormalization: skipNormalization(true),
  SkipSimplifiedLayerNormalization: skipNormalization(false),
  SimplifiedLayerNormalization: simplified,
  EmbedLayerNormalization: embedLayerNormalization,
  'com.microsoft.Attention': packedAttention,
  MultiHeadAttention: multiHeadAttention,
  'com.microsoft.RotaryEmbedding': rotaryEmbedding,
  MatMulNBits: matMulNBits,
} satisfies Readonly<Record<string, Operator>>;
