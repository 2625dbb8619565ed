// Recurrent cells, step by step: https://onnx.ai/onnx/operators/onnx__LSTM.html and its neighbours.
import type { Call, Definition } from './call.ts';
import { make, type Value } from './value.ts';

type Vector = number[];
type Activation = (x: number) => number;

/** An activation by ONNX's name; it takes its parameters off the lists of those that are left. */
function activation(name: string, alphas: number[], betas: number[]): Activation {
  const alpha = (fallback: number) => Math.fround(alphas.shift() ?? fallback);
  const beta = (fallback: number) => Math.fround(betas.shift() ?? fallback);
  switch (name) {
    case 'Relu':
      return (x) => Math.max(0, x);
    case 'Tanh':
      return Math.tanh;
    case 'Sigmoid':
      return (x) => 1 / (1 + Math.exp(-x));
    case 'Softsign':
      return (x) => x / (1 + Math.abs(x));
    case 'Softplus':
      return (x) => Math.log1p(Math.exp(x));
    case 'LeakyRelu': {
      const a = alpha(0.01);
      return (x) => (x < 0 ? a * x : x);
    }
    case 'ThresholdedRelu': {
      const a = alpha(1);
      return (x) => (x < a ? 0 : x);
    }
    case 'Elu': {
      const a = alpha(1);
      return (x) => (x < 0 ? a * Math.expm1(x) : x);
    }
    case 'Affine': {
      const [a, b] = [alpha(1), beta(0)];
      return (x) => a * x + b;
    }
    case 'ScaledTanh': {
      const [a, b] = [alpha(1), beta(1)];
      return (x) => a * Math.tanh(b * x);
    }
    case 'HardSigmoid': {
      const [a, b] = [alpha(0.2), beta(0.5)];
      return (x) => Math.min(1, Math.max(0, a * x + b));
    }
    default:
      throw new Error(`no activation ${name}`);
  }
}

/** The matrices of one direction, a row a unit; gates by ONNX's order. */
interface Weights {
  input: (gate: number, x: Vector) => Vector;
  state: (gate: number, h: Vector) => Vector;
  inputBias: (gate: number) => Vector;
  stateBias: (gate: number) => Vector;
}

function weightsOf(call: Call, d: number, gates: number, hidden: number): Weights {
  const [w, r, b] = [call.input(1), call.input(2), call.optional(3)];
  const product = (m: Value, gate: number, x: Vector) => {
    const width = m.dims[2];
    return Array.from({ length: hidden }, (_, j) => {
      const row = (d * gates * hidden + gate * hidden + j) * width;
      return x.reduce((sum, own, k) => sum + m.data[row + k] * own, 0);
    });
  };
  const bias = (index: number) =>
    Array.from({ length: hidden }, (_, j) => b?.data[(d * 2 * gates + index) * hidden + j] ?? 0);
  return {
    input: (gate, x) => product(w, gate, x),
    state: (gate, h) => product(r, gate, h),
    inputBias: bias,
    stateBias: (gate) => bias(gates + gate),
  };
}

const plus = (...vectors: Vector[]): Vector =>
  vectors[0].map((_, j) => vectors.reduce((sum, own) => sum + own[j], 0));
const times = (a: Vector, b: Vector): Vector => a.map((x, j) => x * b[j]);

interface State {
  h: Vector;
  c: Vector;
}
type Step = (x: Vector, state: State) => State;

const cells: Readonly<Record<string, (call: Call, weights: Weights, f: Activation[], d: number) => Step>> = {
  RNN: (call, w, [f]) => {
    const clip = clipOf(call);
    return (x, { h, c }) => ({
      h: plus(w.input(0, x), w.inputBias(0), w.state(0, h), w.stateBias(0)).map((v) => f(clip(v))),
      c,
    });
  },
  GRU: (call, w, [f, g]) => {
    const clip = clipOf(call);
    const linear = call.integer('linear_before_reset', 0) === 1;
    return (x, { h, c }) => {
      const gate = (index: number) =>
        plus(w.input(index, x), w.inputBias(index), w.state(index, h), w.stateBias(index)).map((v) =>
          f(clip(v)),
        );
      const [update, reset] = [gate(0), gate(1)];
      const recurred = linear
        ? times(reset, plus(w.state(2, h), w.stateBias(2)))
        : plus(w.state(2, times(reset, h)), w.stateBias(2));
      const candidate = plus(w.input(2, x), w.inputBias(2), recurred).map((v) => g(clip(v)));
      return { h: candidate.map((v, j) => (1 - update[j]) * v + update[j] * h[j]), c };
    };
  },
  LSTM: (call, w, [f, g, h2], d) => {
    const clip = clipOf(call);
    const coupled = call.integer('input_forget', 0) === 1;
    const p = call.optional(7);
    return (x, { h, c }) => {
      const hidden = h.length;
      const peephole = (index: number, cell: Vector) =>
        cell.map((own, j) => own * (p?.data[(d * 3 + index) * hidden + j] ?? 0));
      const sum = (index: number) =>
        plus(w.input(index, x), w.inputBias(index), w.state(index, h), w.stateBias(index));
      const i = plus(sum(0), peephole(0, c)).map((v) => f(clip(v)));
      const forget = coupled ? i.map((v) => 1 - v) : plus(sum(2), peephole(2, c)).map((v) => f(clip(v)));
      const next = plus(
        times(forget, c),
        times(
          i,
          sum(3).map((v) => g(clip(v))),
        ),
      );
      const o = plus(sum(1), peephole(1, next)).map((v) => f(clip(v)));
      return { h: times(o, next.map(h2)), c: next };
    };
  },
};

function clipOf(call: Call): Activation {
  const most = call.float('clip', 0);
  return (x) => (most > 0 ? Math.min(most, Math.max(-most, x)) : x);
}

const DEFAULTS: Readonly<Record<string, string[]>> = {
  RNN: ['Tanh'],
  GRU: ['Sigmoid', 'Tanh'],
  LSTM: ['Sigmoid', 'Tanh', 'Tanh'],
};

const recurrent =
  (cell: string, gates: number): Definition =>
  (call) => {
    const [x, lengths] = [call.input(0), call.optional(4)];
    const hidden = call.input(1).dims[1] / gates;
    const batchFirst = call.integer('layout', 0) === 1;
    const [count, sequences] = batchFirst ? [x.dims[1], x.dims[0]] : [x.dims[0], x.dims[1]];
    const way = call.text('direction', 'forward');
    const directions = way === 'bidirectional' ? 2 : 1;
    const names =
      call.texts('activations') ?? Array.from({ length: directions }, () => DEFAULTS[cell]).flat();
    const [alphas, betas] = [call.list('activation_alpha') ?? [], call.list('activation_beta') ?? []];
    const all = names.map((name) => activation(name, alphas, betas));
    const inState = (d: number, n: number) => (batchFirst ? n * directions + d : d * sequences + n) * hidden;
    const size = directions * sequences * hidden;
    const [y, h, c] = [count * size, size, size].map((length) => new Float64Array(length));
    for (let d = 0; d < directions; d++) {
      const each = DEFAULTS[cell].length;
      const step = cells[cell](
        call,
        weightsOf(call, d, gates, hidden),
        all.slice(d * each, (d + 1) * each),
        d,
      );
      for (let n = 0; n < sequences; n++) {
        const from = (place: number) => {
          const value = call.optional(place);
          return Array.from({ length: hidden }, (_, j) => value?.data[inState(d, n) + j] ?? 0);
        };
        let state: State = { h: from(5), c: from(6) };
        const own = lengths ? lengths.data[n] : count;
        for (let at = 0; at < own; at++) {
          const t = way === 'reverse' || d === 1 ? own - 1 - at : at;
          const row = (batchFirst ? n * count + t : t * sequences + n) * x.dims[2];
          state = step(Array.from(x.data.subarray(row, row + x.dims[2])), state);
          const to = batchFirst ? (n * count + t) * directions + d : (t * directions + d) * sequences + n;
          y.set(state.h, to * hidden);
        }
        h.set(state.h, inState(d, n));
        c.set(state.c, inState(d, n));
      }
    }
    const stateDims = batchFirst ? [sequences, directions, hidden] : [directions, sequences, hidden];
    const dims = batchFirst ? [sequences, count, directions, hidden] : [count, directions, sequences, hidden];
    const tensor = (data: Float64Array, own: number[]) => make(x.dtype, own, (_, place) => data[place]);
    return [tensor(y, dims), tensor(h, stateDims), ...(cell === 'LSTM' ? [tensor(c, stateDims)] : [])];
  };

export const recurrences: Readonly<Record<string, Definition>> = {
  RNN: recurrent('RNN', 1),
  GRU: recurrent('GRU', 3),
  LSTM: recurrent('LSTM', 4),
};
