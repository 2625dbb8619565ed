import { type Composer, composed, type Part, relabelled } from './compose.ts';
import type { Node } from './node.ts';
import type { Operator } from './operator.ts';
import { product } from './product.ts';
import { FLOATS, INDICES, type OnnxDType } from './value.ts';

/** Sequences of heads of vectors, wherever those lie. */
export interface Heads {
  part: Part;
  batch: number;
  heads: number;
  length: number;
  size: number;
  /** Elements between neighbours, and before the first. */
  strides: { batch: number; head: number; row: number };
  offset?: number;
}

/** A tensor of batch x heads x length x size, or of batch x length x (heads x size). */
export function headsOf(part: Part, heads?: number): Heads {
  const { dims } = part;
  if (dims.length === 4) {
    const [batch, own, length, size] = dims;
    return {
      part,
      batch,
      heads: own,
      length,
      size,
      strides: { batch: own * length * size, head: length * size, row: size },
    };
  }
  const [batch, length, width] = dims;
  const size = width / heads!;
  return {
    part,
    batch,
    heads: heads!,
    length,
    size,
    strides: { batch: length * width, head: size, row: width },
  };
}

/** As batch x heads x length x size. */
export function headsFirst(c: Composer, { part, batch, heads, length, size }: Heads): Part {
  if (part.dims.length === 4) return part;
  return c.transpose(c.reshape(part, [batch, length, heads, size]), [0, 2, 1, 3]);
}

/** Where a head of the queries has its matrix, and where the one that it is held against. */
function pairsOf(a: Heads, b: Heads): number[][] {
  const group = a.heads / b.heads;
  return Array.from({ length: a.batch * a.heads }, (_, i) => {
    const [n, head] = [Math.floor(i / a.heads), i % a.heads];
    const at = ({ strides, offset = 0 }: Heads, own: number) =>
      offset + n * strides.batch + own * strides.head;
    return [at(a, head), at(b, Math.floor(head / group))];
  });
}

export interface Attended {
  q: Heads;
  k: Heads;
  v: Heads;
  scale: number;
  softcap?: number;
  /** What is added to the scores; broadcasts to batch x heads x queries x keys. */
  biases?: readonly Part[];
  /** Query i sees keys up to i + `past`. */
  causal?: { past: number } | null;
}

/** Scores, what they become step by step, and the weighted values: batch x heads x queries x size of v. */
export function attend(c: Composer, { q, k, v, scale, softcap = 0, biases = [], causal }: Attended) {
  const [M, N] = [q.length, k.length];
  const dims = [q.batch, q.heads, M, N];
  const inputs = [q.part, k.part, v.part];
  const [raw] = c.place(
    {
      outputs: [{ dtype: 'float32', dims }],
      steps: [
        product(
          { a: { input: 0 }, b: { input: 1 }, output: { output: 0 } },
          {
            ...{ dtype: 'float32', M, N, K: q.size, alpha: scale, pairs: pairsOf(q, k) },
            ...{ aStrides: [q.strides.row, 1], bStrides: [1, k.strides.row] },
          },
        ),
      ],
    },
    inputs,
  );
  const scalar = (value: number) => c.constant('float32', value);
  const capped =
    softcap > 0
      ? c.op('Mul', [c.op('Tanh', [c.op('Mul', [raw, scalar(1 / softcap)])]), scalar(softcap)])
      : raw;
  let biased = capped;
  for (const bias of biases) biased = c.op('Add', [biased, bias]);
  if (causal) {
    const last = c.op('Add', [c.places(M, 2, 0), c.constant('int64', causal.past)]);
    const seen = c.op('LessOrEqual', [c.places(N, 2, 1), last]);
    biased = c.op('Where', [seen, biased, scalar(Number.NEGATIVE_INFINITY)]);
  }
  let weights = c.op('Softmax', [biased]);
  if (biases.length > 0 || (causal && causal.past < 0)) {
    // A query that may see no key at all sees nothing.
    const most = c.op('ReduceMax', [biased, c.list(-1)]);
    const blind = c.op('Equal', [most, scalar(Number.NEGATIVE_INFINITY)]);
    weights = c.op('Where', [blind, scalar(0), weights]);
  }
  const probabilities: Heads = headsOf(weights);
  const [output] = c.place(
    {
      outputs: [{ dtype: 'float32', dims: [q.batch, q.heads, M, v.size] }],
      steps: [
        product(
          { a: { input: 0 }, b: { input: 1 }, output: { output: 0 } },
          {
            ...{ dtype: 'float32', M, N: v.size, K: N, pairs: pairsOf(probabilities, v) },
            ...{ aStrides: [N, 1], bStrides: [v.strides.row, 1] },
          },
        ),
      ],
    },
    [weights, v.part],
  );
  return { raw, capped, biased, weights, output };
}

/** Heads side by side again: batch x length x (heads x size). */
export function joinedHeads(c: Composer, x: Part): Part {
  const [batch, heads, length, size] = x.dims;
  return c.reshape(c.transpose(x, [0, 2, 1, 3]), [batch, length, heads * size]);
}

/** What a mask adds: nothing where it is true, so much that nothing is left where it isn't. */
function maskBias(c: Composer, mask: Part): Part {
  if (mask.dtype !== 'bool') return mask;
  const [open, closed] = [0, Number.NEGATIVE_INFINITY].map((value) => c.constant('float32', value));
  return c.op('Where', [mask, open, closed]);
}

const NAMES = ['Q', 'K', 'V', 'attn_mask', 'past_key', 'past_value'];
const ATTRIBUTES = [
  ...[
    'is_causal',
    'kv_num_heads',
    'q_num_heads',
    'qk_matmul_output_mode',
    'scale',
    'softcap',
    'softmax_precision',
  ],
];

/** Checks the shapes of queries, keys and values, and gives their heads. */
function openHeads(c: Composer, node: Node): [Heads, Heads, Heads] {
  const rank = node.required('Q', FLOATS).dims.length;
  node.ensure(rank === 3 || rank === 4, 'Q must have rank 3 or 4', node.required('Q', FLOATS).dims);
  const counts = [node.integer('q_num_heads', 0), node.integer('kv_num_heads', 0)];
  const all = ['Q', 'K', 'V'].map((name, place) => {
    const { dims } = node.required(name, FLOATS);
    const heads = counts[Math.min(1, place)];
    node.ensure(dims.length === rank, `${name} must have the rank of Q, ${rank}`, dims);
    node.ensure(
      rank === 4 || (heads >= 1 && dims[2] % heads === 0),
      `${place === 0 ? 'q' : 'kv'}_num_heads must divide the last dimension of ${name}`,
      heads,
    );
    return headsOf(c.float(place), heads);
  });
  const [q, k, v] = all;
  node.ensure(
    k.batch === q.batch &&
      v.batch === q.batch &&
      k.size === q.size &&
      v.heads === k.heads &&
      v.length === k.length,
    'Q, K and V must have one batch, Q and K one head size, K and V as many heads and elements',
    [q, k, v].map((own) => [own.batch, own.heads, own.length, own.size]),
  );
  node.ensure(
    k.heads > 0 && q.heads % k.heads === 0,
    `the ${k.heads} heads of K must divide those of Q`,
    q.heads,
  );
  return [q, k, v];
}

const attention = composed(23, NAMES, ATTRIBUTES, (c, node, spec) => {
  const { dtype, dims } = node.required('Q', FLOATS);
  const [q, newK, newV] = openHeads(c, node);
  const mask = node.optional('attn_mask', ['bool', ...FLOATS]);
  const past = node.optional('past_key', FLOATS)?.dims ?? null;
  node.ensure(
    !past === !node.optional('past_value', FLOATS),
    'past_key and past_value must come together',
    'one of them',
  );
  node.ensure(!past || past.length === 4, 'past_key must have rank 4', past);
  const withPast = (own: Heads, place: number) =>
    past ? headsOf(c.op('Concat', [c.float(place), headsFirst(c, own)], { axis: 2 })) : own;
  const [k, v] = [withPast(newK, 4), withPast(newV, 5)];
  const biases: Part[] = [];
  if (mask) {
    const short = k.length - mask.dims.at(-1)!;
    node.ensure(
      short >= 0,
      `attn_mask must have at most ${k.length} elements in its last dimension`,
      mask.dims,
    );
    const given = mask.dtype === 'bool' ? maskBias(c, c.input(3)) : c.float(3);
    const pads = [...mask.dims, ...mask.dims].map((_, i, all) => (i === all.length - 1 ? short : 0));
    const closed = c.constant('float32', Number.NEGATIVE_INFINITY);
    biases.push(short > 0 ? c.op('Pad', [given, c.list(...pads), closed]) : given);
  }
  const given = node.float('scale', 0);
  const made = attend(c, {
    ...{ q, k, v, biases, softcap: node.float('softcap', 0) },
    scale: given === 0 ? 1 / Math.sqrt(q.size) : given,
    causal: node.flag('is_causal', false) ? { past: past ? past[2] : 0 } : null,
  });
  const mode = node.integer('qk_matmul_output_mode', 0);
  const kept = [made.raw, made.capped, made.biased, made.weights][mode];
  node.ensure(kept, 'qk_matmul_output_mode must be from 0 to 3', mode);
  const y = dims.length === 4 ? made.output : joinedHeads(c, made.output);
  const all = [y, ...((spec.outputs ?? 1) > 1 ? [headsFirst(c, k), headsFirst(c, v), kept] : [])];
  return all.map((part) => relabelled(part, dtype));
});

export interface Rotated {
  /** Batch x length x heads x size. */
  x: Part;
  /** One of each pair of rotated elements: batch x length x 1 x half. */
  cos: Part;
  sin: Part;
  rotated: number;
  interleaved: boolean;
}

/** Pairs of elements turned by an angle of their place; what lies behind the rotated ones stays. */
export function rotate(c: Composer, { x, cos, sin, rotated, interleaved }: Rotated): Part {
  const [batch, length, heads, size] = x.dims;
  const half = rotated / 2;
  const turned = c.slice(x, 3, 0, rotated);
  const [first, second] = interleaved
    ? [0, 1].map((at) =>
        c.reshape(c.slice(c.reshape(turned, [batch, length, heads, half, 2]), 4, at, at + 1), [
          batch,
          length,
          heads,
          half,
        ]),
      )
    : [c.slice(turned, 3, 0, half), c.slice(turned, 3, half, rotated)];
  const real = c.op('Sub', [c.op('Mul', [cos, first]), c.op('Mul', [sin, second])]);
  const imaginary = c.op('Add', [c.op('Mul', [sin, first]), c.op('Mul', [cos, second])]);
  const pair = interleaved
    ? c.op(
        'Concat',
        [real, imaginary].map((part) => c.reshape(part, [batch, length, heads, half, 1])),
        { axis: 4 },
      )
    : c.op('Concat', [real, imaginary], { axis: 3 });
  const whole = c.reshape(pair, [batch, length, heads, rotated]);
  return rotated === size ? whole : c.op('Concat', [whole, c.slice(x, 3, rotated, size)], { axis: 3 });
}

/** Angles by place, or already one a place: batch x length x 1 x half. */
function angles(
  c: Composer,
  node: Node,
  place: number,
  positions: Part | null,
  [batch, length]: readonly number[],
  half: number,
): Part {
  const cache = c.float(place);
  const name = place === 1 ? 'cos_cache' : 'sin_cache';
  node.ensure(
    cache.dims.length === (positions ? 2 : 3) && cache.dims.at(-1) === half,
    `${name} must have rank ${positions ? 2 : 3} and ${half} in its last dimension`,
    cache.dims,
  );
  const picked = positions ? c.op('Gather', [cache, positions]) : cache;
  return c.reshape(picked, [batch, length, 1, half]);
}

const rotaryEmbedding = composed(
  23,
  ['X', 'cos_cache', 'sin_cache', 'position_ids'],
  ['interleaved', 'num_heads', 'rotary_embedding_dim'],
  (c, node) => {
    const { dtype, dims } = node.required('X', FLOATS);
    node.ensure(dims.length === 3 || dims.length === 4, 'X must have rank 3 or 4', dims);
    for (const name of ['cos_cache', 'sin_cache']) node.required(name, FLOATS as OnnxDType[]);
    const count = node.integer('num_heads', 0);
    node.ensure(
      dims.length === 4 || (count > 0 && dims[2] % count === 0),
      'num_heads must divide the last dimension of X',
      count,
    );
    const [batch, length] = dims.length === 4 ? [dims[0], dims[2]] : dims;
    const x =
      dims.length === 4
        ? c.transpose(c.float(0), [0, 2, 1, 3])
        : c.reshape(c.float(0), [batch, length, count, dims[2] / count]);
    const rotated = node.integer('rotary_embedding_dim', 0) || x.dims[3];
    node.ensure(
      rotated % 2 === 0 && rotated <= x.dims[3],
      `rotary_embedding_dim must be even and at most ${x.dims[3]}`,
      rotated,
    );
    const positions = node.optional('position_ids', INDICES);
    node.ensure(
      !positions || `${positions.dims}` === `${[batch, length]}`,
      `position_ids must have the dims [${batch},${length}]`,
      positions?.dims,
    );
    const where = positions ? c.input(3) : null;
    const [cos, sin] = [1, 2].map((place) => angles(c, node, place, where, [batch, length], rotated / 2));
    const made = rotate(c, { x, cos, sin, rotated, interleaved: node.flag('interleaved', false) });
    return [relabelled(dims.length === 4 ? c.transpose(made, [0, 2, 1, 3]) : c.reshape(made, dims), dtype)];
  },
);

/** Attention, and what turns its queries and keys by their places. */
export const attentionOperators = {
  Attention: attention,
  RotaryEmbedding: rotaryEmbedding,
} satisfies Readonly<Record<string, Operator>>;
