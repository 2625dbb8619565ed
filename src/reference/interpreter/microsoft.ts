// What ONNX Runtime's optimizer writes, by the operators that it stands for.
import { Call, type Definition } from './call.ts';
import { normalizations } from './normalize.ts';
import { pointwise } from './pointwise.ts';
import { products } from './product.ts';
import { elementAt, make, type Value } from './value.ts';

/** The newest definitions. */
const OPSET = 23;
const parts = { ...pointwise, ...products, ...normalizations };
const part = (op: string, inputs: (Value | null)[], attributes: Record<string, unknown> = {}) =>
  parts[op](new Call(OPSET, inputs, 3, attributes));
const add = (a: Value, b: Value | null) => (b ? part('Add', [a, b])[0] : a);

const gelu =
  (approximate: string): Definition =>
  (call) =>
    part('Gelu', [add(call.input(0), call.optional(1))], { approximate });

const quickGelu: Definition = (call) => {
  const alpha = call.float('alpha', 1.702);
  const x = call.input(0);
  return [make(x.dtype, x.dims, (_, place) => x.data[place] / (1 + Math.exp(-alpha * x.data[place])))];
};

/** The dimensions in another order. */
const ordered = (x: Value, perm: readonly number[]) =>
  make(
    x.dtype,
    perm.map((axis) => x.dims[axis]),
    (at) =>
      elementAt(
        x,
        perm.map((_, axis) => at[perm.indexOf(axis)]),
      ),
  );

const fusedMatMul: Definition = (call) => {
  const [a, b] = ['A', 'B'].map((letter, place) => {
    const x = call.input(place);
    const rank = x.dims.length;
    const perm = x.dims.map((_, i) => i);
    if (call.integer(`transBatch${letter}`, 0) === 1 && rank > 2) perm.splice(rank - 2, 0, perm.shift()!);
    if (call.integer(`trans${letter}`, 0) === 1 && rank > 1) perm.push(...perm.splice(rank - 2, 1));
    return ordered(x, perm);
  });
  const alpha = call.float('alpha', 1);
  const [made] = part('MatMul', [a, b]);
  return [make(made.dtype, made.dims, (_, place) => alpha * made.data[place])];
};

const skip =
  (norm: string, bias: number): Definition =>
  (call) => {
    const sum = add(add(call.input(0), call.input(1)), call.optional(bias));
    const inputs = [sum, call.input(2), ...(norm === 'LayerNormalization' ? [call.optional(3)] : [])];
    const [y, mean, deviation] = part(norm, inputs, { epsilon: call.float('epsilon', 1e-12) });
    const none: Value = { dtype: 'float32', dims: [], data: new Float64Array(1) };
    return [y, mean ?? none, deviation ?? none, sum];
  };

const embed: Definition = (call) => {
  const [ids, segments, words, places, kinds] = [0, 1, 2, 3, 4].map((place) => call.optional(place));
  const [mask, positions] = [call.optional(7), call.optional(8)];
  const [batch, length] = ids!.dims;
  const sum = make(words!.dtype, [batch, length, words!.dims[1]], ([n, at, i]) => {
    const place = positions ? elementAt(positions, positions.dims[0] === 1 ? [0, at] : [n, at]) : at;
    const kind = segments && kinds ? elementAt(kinds, [elementAt(segments, [n, at]), i]) : 0;
    return elementAt(words!, [elementAt(ids!, [n, at]), i]) + elementAt(places!, [place, i]) + kind;
  });
  const inputs = [sum, call.input(5), call.input(6)];
  const [y] = part('LayerNormalization', inputs, { epsilon: call.float('epsilon', 1e-12) });
  const lengths = make('int32', [batch], ([n]) =>
    mask ? Array.from({ length }, (_, at) => elementAt(mask, [n, at])).reduce((a, b) => a + b, 0) : 0,
  );
  return [y, lengths, sum];
};

/** Codes of few bits lie behind each other, the lowest first; each block has a scale, and a zero point. */
const matMulNBits: Definition = (call) => {
  const [a, b, scales, zeros, bias] = [
    call.input(0),
    call.input(1),
    call.input(2),
    call.optional(3),
    call.optional(5),
  ];
  const [K, N, bits, size] = ['K', 'N', 'bits', 'block_size'].map((name) => call.integer(name, 4));
  const blocks = Math.ceil(K / size);
  const bitsAt = (x: Value, start: number, at: number) => {
    const byte = x.data[start + Math.floor((at * bits) / 8)];
    return Math.floor(byte / 2 ** ((at * bits) % 8)) % 2 ** bits;
  };
  const weight = (n: number, k: number) => {
    const block = Math.floor(k / size);
    const code = bitsAt(b, ((n * blocks + block) * size * bits) / 8, k % size);
    const zero = !zeros
      ? 2 ** (bits - 1)
      : zeros.dtype === 'uint8'
        ? bitsAt(zeros, n * Math.ceil((blocks * bits) / 8), block)
        : zeros.data[n * blocks + block];
    return (code - zero) * scales.data[n * blocks + block];
  };
  const weights: Value = make('float32', [K, N], ([k, n]) => weight(n, k));
  return [add(part('MatMul', [a, weights])[0], bias)];
};

export const microsoft: Readonly<Record<string, Definition>> = {
  'com.microsoft.Gelu': gelu('none'),
  BiasGelu: gelu('none'),
  FastGelu: gelu('tanh'),
  QuickGelu: quickGelu,
  FusedMatMul: fusedMatMul,
  SkipLayerNormalization: skip('LayerNormalization', 4),
  SkipSimplifiedLayerNormalization: skip('RMSNormalization', 3),
  SimplifiedLayerNormalization: normalizations.RMSNormalization,
  EmbedLayerNormalization: embed,
  MatMulNBits: matMulNBits,
};
