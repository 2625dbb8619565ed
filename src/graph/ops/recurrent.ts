import { CELL_ACTIVATIONS, CELLS, recurrent } from '../../kernels/recurrent.ts';
import { type Composer, composed, type Part, relabelled } from './compose.ts';
import { copyBox, scalarWord } from './copy-step.ts';
import type { Node } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { product } from './product.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS } from './value.ts';

type Cell = keyof typeof CELLS;

/** How many gates a cell has, and the activations that it takes unless others are named. */
const GATES: Readonly<Record<Cell, { gates: number; defaults: readonly (keyof typeof CELL_ACTIVATIONS)[] }>> =
  {
    RNN: { gates: 1, defaults: ['Tanh'] },
    GRU: { gates: 3, defaults: ['Sigmoid', 'Tanh'] },
    LSTM: { gates: 4, defaults: ['Sigmoid', 'Tanh', 'Tanh'] },
  };

/** Activations with parameters, and what those are unless they are given. */
const ALPHAS: Readonly<Record<string, number>> = {
  ...{ Affine: 1, LeakyRelu: 0.01, ThresholdedRelu: 1, ScaledTanh: 1, HardSigmoid: 0.2, Elu: 1 },
};
const BETAS: Readonly<Record<string, number>> = { Affine: 0, ScaledTanh: 1, HardSigmoid: 0.5 };

interface Activation {
  kind: number;
  alpha: number;
  beta: number;
}

/** Each direction's activations; parameters are dealt out, in order, to those that have some. */
function activationsOf(node: Node, cell: Cell, directions: number): Activation[][] {
  const { defaults } = GATES[cell];
  const given = node.attribute('activations') as readonly string[] | undefined;
  const names = given ?? Array.from({ length: directions }, () => defaults).flat();
  const known = Object.keys(CELL_ACTIVATIONS) as (keyof typeof CELL_ACTIVATIONS)[];
  const count = directions * defaults.length;
  node.ensure(Array.isArray(names) && names.length === count, `activations must be ${count} names`, given);
  const dealt = (attribute: string) =>
    Array.from((node.attribute(attribute) as number[] | undefined) ?? [], Number);
  const [alphas, betas] = [dealt('activation_alpha'), dealt('activation_beta')];
  const made = names.map((asked): Activation => {
    const name = known.find((own) => own.toLowerCase() === String(asked).toLowerCase());
    node.ensure(name, `activations must be ${known.join(', ')}`, asked);
    const parameter = (list: number[], fallbacks: Readonly<Record<string, number>>) =>
      name! in fallbacks ? Math.fround(list.shift() ?? fallbacks[name!]) : 0;
    return { kind: CELL_ACTIVATIONS[name!], alpha: parameter(alphas, ALPHAS), beta: parameter(betas, BETAS) };
  });
  return Array.from({ length: directions }, (_, d) =>
    made.slice(d * defaults.length, (d + 1) * defaults.length),
  );
}

interface Layout {
  directions: number;
  times: number;
  batches: number;
  size: number;
  hidden: number;
  gates: number;
  batchFirst: boolean;
}

const ATTRIBUTES: Readonly<Record<Cell, readonly string[]>> = {
  RNN: [],
  GRU: ['linear_before_reset'],
  LSTM: ['input_forget'],
};
const INPUTS = ['X', 'W', 'R', 'B', 'sequence_lens', 'initial_h'];

/** Reads what a recurrent node is given, and checks that it fits. */
function openLayout(node: Node, cell: Cell, directions: number, batchFirst: boolean): Layout {
  const { gates } = GATES[cell];
  const { dims } = node.required('X', FLOATS);
  const w = node.required('W', FLOATS).dims;
  node.ensure(dims.length === 3, 'X must have three dimensions: steps, sequences, elements', dims);
  const [times, batches] = batchFirst ? [dims[1], dims[0]] : dims;
  const hidden = w[1] / gates;
  const asked = node.integer('hidden_size', hidden);
  node.ensure(
    w.length === 3 && w[0] === directions && Number.isInteger(hidden) && w[2] === dims[2] && asked === hidden,
    `W must have the dims [${directions}, ${gates} * hidden_size, ${dims[2]}]`,
    w,
  );
  const fits = (name: string, expected: readonly number[]) => {
    const value = node.optional(name, FLOATS);
    node.ensure(
      !value || `${value.dims}` === `${expected}`,
      `${name} must have the dims [${expected}]`,
      value?.dims,
    );
  };
  node.required('R', FLOATS);
  fits('R', [directions, gates * hidden, hidden]);
  fits('B', [directions, 2 * gates * hidden]);
  const state = batchFirst ? [batches, directions, hidden] : [directions, batches, hidden];
  fits('initial_h', state);
  if (cell === 'LSTM') {
    fits('initial_c', state);
    fits('P', [directions, 3 * hidden]);
  }
  const lengths = node.optional('sequence_lens', ['int32']);
  node.ensure(
    !lengths || `${lengths.dims}` === `${batches}`,
    `sequence_lens must have ${batches} elements`,
    lengths?.dims,
  );
  return { directions, times, batches, size: dims[2], hidden, gates, batchFirst };
}

/** What the biases add to every gate; a GRU that resets behind its product keeps the one inside. */
function biases(c: Composer, { directions, gates, hidden }: Layout, keepsLast: boolean): Part | null {
  if (!c.has(3)) return null;
  return c.onHost(() => {
    const both = c.reshape(c.float(3), [directions, 2, gates * hidden]);
    if (!keepsLast) return c.op('ReduceSum', [both, c.list(1)], { keepdims: 0 });
    const mask = Float64Array.from({ length: 2 * gates * hidden }, (_, i) =>
      Number(i < (2 * gates - 1) * hidden),
    );
    const kept = c.op('Mul', [both, c.constant('float32', mask, [1, 2, gates * hidden])]);
    return c.op('ReduceSum', [kept, c.list(1)], { keepdims: 0 });
  });
}

/** One direction: the product of all inputs, the states' beginnings, and one dispatch of all steps. */
function direction(
  c: Composer,
  node: Node,
  cell: Cell,
  layout: Layout,
  d: number,
  { bias, activations, reverse }: { bias: Part | null; activations: Activation[]; reverse: boolean },
): { steps: Step[]; inputs: (Part | null)[] } {
  const { directions, times, batches, size, hidden, gates, batchFirst } = layout;
  const width = gates * hidden;
  const own = bias && c.slice(bias, 0, d, d + 1);
  const inputs = [0, 1, 2].map((place) => c.float(place));
  const at = (part: Part | null): Operand => ({ input: inputs.push(part!) - 1 });
  const given: Operand = { scratch: `inputs ${d}`, count: times * batches * width };
  const states: Operand = { scratch: `states ${d}`, count: 4 * batches * hidden };
  const steps = [
    product(
      { a: { input: 0 }, b: { input: 1 }, ...(own && { addend: at(own) }), output: given },
      {
        ...{ dtype: 'float32', M: times * batches, N: width, K: size, addendStrides: [0, 1] },
        ...{ aStrides: [size, 1], bStrides: [1, size], pairs: [[0, d * width * size]] },
      },
    ),
  ];
  for (const [part, place] of [5, cell === 'LSTM' ? 6 : -1].entries()) {
    const initial = place >= 0 && c.has(place) ? at(c.float(place)) : null;
    const [start, stride] = batchFirst ? [d * hidden, directions * hidden] : [d * batches * hidden, hidden];
    steps.push(
      copyBox('float32', initial ?? scalarWord(0, 'float32'), states, {
        dims: [batches, hidden],
        inputStrides: initial ? [stride, 1] : [0, 0],
        inputOffset: initial ? start : 0,
        outputOffset: part * batches * hidden,
      }),
    );
  }
  const linear = cell === 'GRU' && node.flag('linear_before_reset', false);
  const [hasLengths, hasPeepholes] = [c.has(4), cell === 'LSTM' && c.has(7)];
  const [f, g = f, h = f] = activations;
  // A bias of zeros stands for none.
  const extra = hasPeepholes ? at(c.float(7)) : linear && c.has(3) ? at(c.float(3)) : null;
  const stride = batchFirst ? [1, times] : [batches, 1];
  steps.push(
    step(
      recurrent,
      {
        ...{ CELL: CELLS[cell], LINEAR: Number(linear), PEEPHOLES: Number(hasPeepholes) },
        COUPLED: Number(cell === 'LSTM' && node.flag('input_forget', false)),
        ...{ LENGTHS: Number(hasLengths), REVERSE: Number(reverse), F: f.kind, G: g.kind, H: h.kind },
      },
      {
        ...{ inputs: given, weights: { input: 2 }, states, output: { output: 0 } },
        extra: extra ?? { constant: new Float32Array(hidden) },
        lengths: hasLengths ? at(c.input(4)) : { constant: Int32Array.of(0) },
      },
      {
        ...{ times, batches, hidden, inputTime: stride[0] * width, inputBatch: stride[1] * width },
        weightOffset: d * width * hidden,
        extraOffset: hasPeepholes ? d * 3 * hidden : extra ? (d * 2 * gates + 2 * gates - 1) * hidden : 0,
        outputTime: (batchFirst ? 1 : batches) * directions * hidden,
        outputBatch: batchFirst ? times * directions * hidden : hidden,
        outputOffset: d * (batchFirst ? hidden : batches * hidden),
        ...{ clip: node.float('clip', 0), fAlpha: f.alpha, fBeta: f.beta },
        ...{ gAlpha: g.alpha, gBeta: g.beta, hAlpha: h.alpha, hBeta: h.beta },
      },
    ),
  );
  const [start, each] = batchFirst ? [d * hidden, directions * hidden] : [d * batches * hidden, hidden];
  for (let part = 0; part < (cell === 'LSTM' ? 2 : 1); part++) {
    steps.push(
      copyBox(
        'float32',
        states,
        { output: part + 1 },
        {
          dims: [batches, hidden],
          inputStrides: [hidden, 1],
          inputOffset: part * batches * hidden,
          outputStrides: [each, 1],
          outputOffset: start,
        },
      ),
    );
  }
  return { steps, inputs };
}

function recurrentOperator(cell: Cell): Operator {
  const common = ['activation_alpha', 'activation_beta', 'activations', 'clip', 'direction', 'hidden_size'];
  const names = [...INPUTS, ...(cell === 'LSTM' ? ['initial_c', 'P'] : [])];
  const made = (newer: boolean) =>
    composed(7, names, [...common, ...ATTRIBUTES[cell], ...(newer ? ['layout'] : [])], (c, node) => {
      const way = node.choice('direction', ['forward', 'reverse', 'bidirectional'], 'forward');
      const directions = way === 'bidirectional' ? 2 : 1;
      const layout = openLayout(node, cell, directions, newer && node.flag('layout', false));
      const { times, batches, hidden, batchFirst } = layout;
      const activations = activationsOf(node, cell, directions);
      const linear = cell === 'GRU' && node.flag('linear_before_reset', false);
      const bias = biases(c, layout, linear);
      const state = batchFirst ? [batches, directions, hidden] : [directions, batches, hidden];
      const all = batchFirst ? [batches, times, directions, hidden] : [times, directions, batches, hidden];
      const inputs: (Part | null)[] = [];
      const steps: Step[] = [];
      for (let d = 0; d < directions; d++) {
        const reverse = way === 'reverse' || d === 1;
        const one = direction(c, node, cell, layout, d, { bias, activations: activations[d], reverse });
        const moved = (operand: Operand) =>
          'input' in operand ? { input: operand.input + inputs.length } : operand;
        steps.push(
          ...one.steps.map((own) => ({
            ...own,
            buffers: Object.fromEntries(Object.entries(own.buffers).map(([name, to]) => [name, moved(to)])),
          })),
        );
        inputs.push(...one.inputs);
      }
      const { dtype } = node.required('X', FLOATS);
      const outputs = [all, ...(cell === 'LSTM' ? [state, state] : [state])].map((dims) => ({
        dtype: 'float32' as const,
        dims,
      }));
      const plan: Plan = { outputs, steps: sizeOf(all) === 0 && times > 0 ? [] : steps };
      return c.place(plan, inputs).map((part) => relabelled(part, dtype));
    });
  const [older, newer] = [made(false), made(true)];
  return { since: 7, plan: (spec) => (spec.opset >= 14 ? newer : older).plan(spec) };
}

/** Cells that run over sequences. */
export const recurrentOperators = {
  RNN: recurrentOperator('RNN'),
  GRU: recurrentOperator('GRU'),
  LSTM: recurrentOperator('LSTM'),
} satisfies Readonly<Record<string, Operator>>;
