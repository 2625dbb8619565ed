// Attention, rotations by place, and what ONNX Runtime's optimizer fuses around them.
import type { Call, Definition } from './call.ts';
import { broadcastAt, elementAt, make, type Value } from './value.ts';

const sum = (list: readonly number[]) => list.reduce((total, x) => total + x, 0);

/** An element of batch x heads x length x size, of a tensor that has it so or its heads side by side. */
type Headed = {
  at: (n: number, head: number, row: number, i: number) => number;
  dims: [number, number, number, number];
};

function headed(x: Value, heads: number): Headed {
  if (x.dims.length === 4) {
    return { at: (...place) => elementAt(x, place), dims: x.dims as Headed['dims'] };
  }
  const [batch, length, width] = x.dims;
  const size = width / heads;
  return {
    at: (n, head, row, i) => elementAt(x, [n, row, head * size + i]),
    dims: [batch, heads, length, size],
  };
}

/** What was kept of earlier steps, with what is new behind it. */
function behind(past: Value | null, own: Headed): Headed {
  if (!past || past.dims[2] === 0) return own;
  const kept = past.dims[2];
  const [batch, heads, length, size] = own.dims;
  return {
    at: (n, head, row, i) =>
      row < kept ? elementAt(past, [n, head, row, i]) : own.at(n, head, row - kept, i),
    dims: [batch, heads, length + kept, size],
  };
}

const tensor = (dtype: string, { at, dims }: Headed): Value =>
  make(dtype, dims, ([n, head, row, i]) => at(n, head, row, i));

interface Asked {
  scale: number;
  softcap?: number;
  /** What is added to a score; null where the key may not be seen. */
  bias: (n: number, head: number, row: number, key: number) => number | null;
}

/** Scores at each of their stages, and the outputs, batch x heads x queries x size. */
function attended(dtype: string, q: Headed, k: Headed, v: Headed, { scale, softcap = 0, bias }: Asked) {
  const [batch, heads, rows] = q.dims;
  const [keys, size] = [k.dims[2], q.dims[3]];
  const group = heads / k.dims[1];
  const all = [batch, heads, rows, keys];
  const made = (f: (n: number, head: number, row: number, key: number) => number) =>
    make(dtype, all, ([n, head, row, key]) => f(n, head, row, key));
  const raw = made((n, head, row, key) => {
    const own = Math.floor(head / group);
    return scale * sum(Array.from({ length: size }, (_, i) => q.at(n, head, row, i) * k.at(n, own, key, i)));
  });
  const capped = made((...at) =>
    softcap > 0 ? softcap * Math.tanh(elementAt(raw, at) / softcap) : elementAt(raw, at),
  );
  const biased = made((...at) => {
    const own = bias(...at);
    return own === null ? Number.NEGATIVE_INFINITY : elementAt(capped, at) + own;
  });
  const weights = made((n, head, row, key) => {
    const scores = Array.from({ length: keys }, (_, i) => elementAt(biased, [n, head, row, i]));
    const most = Math.max(...scores);
    if (most === Number.NEGATIVE_INFINITY) return 0;
    return Math.exp(scores[key] - most) / sum(scores.map((x) => Math.exp(x - most)));
  });
  const output = make(dtype, [batch, heads, rows, v.dims[3]], ([n, head, row, i]) =>
    sum(
      Array.from(
        { length: keys },
        (_, key) => elementAt(weights, [n, head, row, key]) * v.at(n, Math.floor(head / group), key, i),
      ),
    ),
  );
  return { raw, capped, biased, weights, output };
}

function joined(x: Value): Value {
  const [batch, heads, length, size] = x.dims;
  return make(x.dtype, [batch, length, heads * size], ([n, row, i]) =>
    elementAt(x, [n, Math.floor(i / size), row, i % size]),
  );
}

const attention: Definition = (call) => {
  const [q, k, v] = [call.input(0), call.input(1), call.input(2)];
  const [mask, pastKey, pastValue] = [call.optional(3), call.optional(4), call.optional(5)];
  const heads = [call.integer('q_num_heads', 0), call.integer('kv_num_heads', 0)];
  const queries = headed(q, heads[0]);
  const [keys, values] = [behind(pastKey, headed(k, heads[1])), behind(pastValue, headed(v, heads[1]))];
  const causal = call.integer('is_causal', 0) === 1;
  const past = pastKey?.dims[2] ?? 0;
  const made = attended(q.dtype, queries, keys, values, {
    scale: call.has('scale') ? call.float('scale', 1) : 1 / Math.sqrt(queries.dims[3]),
    softcap: call.float('softcap', 0),
    bias: (n, head, row, key) => {
      if (causal && key > row + past) return null;
      if (!mask) return 0;
      if (key >= mask.dims.at(-1)! && mask.dims.at(-1)! > 1) return null;
      const own = broadcastAt(mask, [n, head, row, key]);
      return mask.dtype === 'bool' ? (own ? 0 : null) : own;
    },
  });
  const kept = [made.raw, made.capped, made.biased, made.weights][call.integer('qk_matmul_output_mode', 0)];
  const y = q.dims.length === 4 ? made.output : joined(made.output);
  return [y, tensor(q.dtype, keys), tensor(q.dtype, values), kept];
};

/** The angle's cosine and sine for a place in a sequence. */
type Angle = (n: number, row: number, i: number) => [number, number];

function rotated(x: Value, heads: number, angle: Angle, count: number, interleaved: boolean): Value {
  const own = headed(x, heads);
  const half = count / 2;
  const turned = (n: number, head: number, row: number, i: number) => {
    if (i >= count) return own.at(n, head, row, i);
    const [pair, second] = interleaved ? [Math.floor(i / 2), i % 2] : [i % half, Math.floor(i / half)];
    const [a, b] = interleaved ? [2 * pair, 2 * pair + 1] : [pair, pair + half];
    const [cos, sin] = angle(n, row, pair);
    const [first, last] = [own.at(n, head, row, a), own.at(n, head, row, b)];
    return second ? sin * first + cos * last : cos * first - sin * last;
  };
  const made = tensor(x.dtype, { at: turned, dims: own.dims });
  return x.dims.length === 4 ? made : joined(made);
}

const rotaryEmbedding: Definition = (call) => {
  const [x, cos, sin, positions] = [call.input(0), call.input(1), call.input(2), call.optional(3)];
  const heads = call.integer('num_heads', 0);
  const size = x.dims.length === 4 ? x.dims[3] : x.dims[2] / heads;
  const at = (cache: Value, n: number, row: number, i: number) =>
    positions ? elementAt(cache, [elementAt(positions, [n, row]), i]) : elementAt(cache, [n, row, i]);
  const angle: Angle = (n, row, i) => [at(cos, n, row, i), at(sin, n, row, i)];
  const count = call.integer('rotary_embedding_dim', 0) || size;
  return [rotated(x, heads, angle, count, call.integer('interleaved', 0) === 1)];
};

/** The same with its inputs in another order, and one number for where all sequences begin. */
const microsoftRotary: Definition = (call) => {
  const [x, positions, cos, sin] = [call.input(0), call.input(1), call.input(2), call.input(3)];
  const given = call.integer('num_heads', 0);
  const size = x.dims.length === 4 ? x.dims[3] : given > 0 ? x.dims[2] / given : cos.dims[1] * 2;
  const heads = x.dims.length === 4 ? x.dims[1] : x.dims[2] / size;
  const place = (n: number, row: number) =>
    positions.data.length === 1 ? positions.data[0] + row : elementAt(positions, [n, row]);
  const angle: Angle = (n, row, i) => [
    elementAt(cos, [place(n, row), i]),
    elementAt(sin, [place(n, row), i]),
  ];
  const count = call.integer('rotary_embedding_dim', 0) || size;
  return [rotated(x, heads, angle, count, call.integer('interleaved', 0) === 1)];
};

/** Which keys a mask of lengths, keys, or queries and keys leaves open. */
function padding(call: Call, mask: Value | null) {
  const filter = call.float('mask_filter_value', -10000);
  return (n: number, row: number, key: number) => {
    if (!mask) return 0;
    if (mask.dims.length === 1) return key < mask.data[n] ? 0 : filter;
    return elementAt(mask, mask.dims.length === 2 ? [n, key] : [n, row, key]) ? 0 : filter;
  };
}

const scaleOf = (call: Call, size: number) =>
  call.has('scale') ? call.float('scale', 1) : 1 / Math.sqrt(size);

/** A linear layer, whose columns are queries, keys and values. */
const packedAttention: Definition = (call) => {
  const [x, weights, bias, mask, more] = [
    call.input(0),
    call.input(1),
    call.optional(2),
    call.optional(3),
    call.optional(5),
  ];
  const width = weights.dims[1];
  const sizes = call.list('qkv_hidden_sizes') ?? [width / 3, width / 3, width / 3];
  const heads = call.integer('num_heads', 1);
  const project = (from: number, size: number) =>
    headed(
      make(x.dtype, [x.dims[0], x.dims[1], size], ([n, row, i]) => {
        const products = Array.from(
          { length: x.dims[2] },
          (_, k) => elementAt(x, [n, row, k]) * elementAt(weights, [k, from + i]),
        );
        return sum(products) + (bias?.data[from + i] ?? 0);
      }),
      heads,
    );
  const [q, k, v] = sizes.map((size, i) => project(i * sizes[0], size));
  const causal = call.integer('unidirectional', 0) === 1;
  const pad = padding(call, mask);
  const made = attended(x.dtype, q, k, v, {
    scale: scaleOf(call, q.dims[3]),
    bias: (n, head, row, key) =>
      causal && key > row ? null : pad(n, row, key) + (more ? broadcastAt(more, [n, head, row, key]) : 0),
  });
  return [joined(made.output)];
};

const multiHeadAttention: Definition = (call) => {
  const heads = call.integer('num_heads', 1);
  const bias = call.optional(3);
  let from = 0;
  const [q, k, v] = [0, 1, 2].map((place) => {
    const x = call.input(place);
    const start = from;
    from += x.dims.length === 4 ? x.dims[1] * x.dims[3] : x.dims[2];
    if (!bias || x.dims.length === 4) return headed(x, heads);
    return headed(
      make(x.dtype, x.dims, (at, i) => x.data[i] + bias.data[start + at[2]]),
      heads,
    );
  });
  const [mask, more] = [call.optional(4), call.optional(5)];
  const [keys, values] = [behind(call.optional(6), k), behind(call.optional(7), v)];
  const causal = call.integer('unidirectional', 0) === 1;
  const pad = padding(call, mask);
  const { dtype } = call.input(0);
  const made = attended(dtype, q, keys, values, {
    scale: scaleOf(call, q.dims[3]),
    bias: (n, head, row, key) =>
      causal && key > row + keys.dims[2] - q.dims[2]
        ? null
        : pad(n, row, key) + (more ? broadcastAt(more, [n, head, row, key]) : 0),
  });
  return [joined(made.output), tensor(dtype, keys), tensor(dtype, values)];
};

export const attentions: Readonly<Record<string, Definition>> = {
  Attention: attention,
  RotaryEmbedding: rotaryEmbedding,
  'com.microsoft.Attention': packedAttention,
  MultiHeadAttention: multiHeadAttention,
  'com.microsoft.RotaryEmbedding': microsoftRotary,
};
