import { check } from '../gpu/errors.ts';
import type { Attributes } from '../graph/ops/tensors.ts';
import { TO_THE_END, type Value } from './graph-builder.ts';
import type { LayerReading } from './layer-kinds.ts';

/** A Keras cell as ONNX has it: its operator, and which of Keras's gates each of ONNX's is. */
const CELLS: Readonly<Record<string, { op: string; gates: readonly number[] }>> = {
  SimpleRNN: { op: 'RNN', gates: [0] },
  GRU: { op: 'GRU', gates: [0, 1, 2] },
  LSTM: { op: 'LSTM', gates: [0, 3, 1, 2] },
};

const ACTIVATIONS: Readonly<Record<string, string>> = {
  ...{ tanh: 'Tanh', sigmoid: 'Sigmoid', hardSigmoid: 'HardSigmoid', relu: 'Relu', elu: 'Elu' },
  ...{ softsign: 'Softsign', softplus: 'Softplus', linear: 'Affine' },
};

function activationOf(name: unknown): string {
  const camel = String(name).replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
  const made = ACTIVATIONS[camel];
  check(made, `its activations must be ${Object.keys(ACTIVATIONS).join(', ')}`, name);
  return made;
}

/** Columns of gates as rows of gates, in ONNX's order, for one direction. */
function gateRows(matrix: Value, gates: readonly number[]): { dims: number[]; data: Float32Array } {
  const [rows, columns] = matrix.dims!;
  const units = columns / gates.length;
  const source = matrix.data as Float32Array;
  const data = new Float32Array(rows * columns);
  for (let at = 0; at < columns; at++) {
    const column = gates[Math.floor(at / units)] * units + (at % units);
    for (let row = 0; row < rows; row++) data[at * rows + row] = source[row * columns + column];
  }
  return { dims: [1, columns, rows], data };
}

type Config = LayerReading['config'];

/** One direction of a layer: its outputs at every step, in the order of the steps, or the last one. */
function oneWay(
  { b, inputs }: LayerReading,
  name: string,
  className: string,
  config: Config,
  weights: readonly Value[],
): Value {
  const { op, gates } = CELLS[className];
  check(!config.stateful, 'its state must not be kept from one call to the next', 'stateful');
  check(!config.returnState, 'its states must not be outputs', 'returnState');
  check(!config.resetAfter, 'its reset must come before its product', 'resetAfter');
  const [kernel, recurrent, bias] = weights;
  const constant = (key: string, { dims, data }: { dims: number[]; data: Float32Array }) =>
    b.floats(`${name}.${key}`, dims, data);
  const read: (Value | null)[] = [
    b.transpose(`${name}/steps`, inputs[0], [1, 0, 2]),
    constant('weight_ih', gateRows(kernel, gates)),
    constant('weight_hh', gateRows(recurrent, gates)),
  ];
  if (bias) {
    const { data } = gateRows({ ...bias, dims: [1, bias.dims![0]] }, gates);
    const both = new Float32Array(2 * data.length);
    both.set(data);
    read.push(constant('bias', { dims: [1, both.length], data: both }));
  }
  if (inputs.length > 1) {
    if (!bias) read.push(null);
    read.push(null, ...inputs.slice(1).map((state, i) => b.unsqueeze(`${name}/initial/${i}`, state, [0])));
  }
  const cell = activationOf(config.activation);
  const inner = op === 'RNN' ? [] : [activationOf(config.recurrentActivation)];
  const activations = [...inner, cell, ...(op === 'LSTM' ? [cell] : [])];
  const backwards = config.goBackwards === true;
  const attributes: Attributes = {
    hidden_size: config.units as number,
    direction: backwards ? 'reverse' : 'forward',
    activations,
  };
  const [all, last] = b.several(op, name, read, attributes, 2);
  if (!config.returnSequences) return b.squeeze(`${name}/last`, last, [0]);
  const steps = b.squeeze(`${name}/all`, all, [1]);
  return b.transpose(`${name}/sequences`, steps, [1, 0, 2]);
}

/** Keras's backward layers give their steps as they take them: the last one first. */
const turned = ({ b, name }: LayerReading, steps: Value) =>
  b.slice(`${name}/backwards`, steps, [1], [-1], [-TO_THE_END], [-1]);

export const recurrent =
  (className: string) =>
  (layer: LayerReading): Value => {
    const { name, config, weights } = layer;
    const made = oneWay(layer, name, className, config, weights);
    return config.goBackwards && config.returnSequences ? turned(layer, made) : made;
  };

const MERGES: Readonly<Record<string, string>> = { sum: 'Add', mul: 'Mul', ave: 'Mean' };

/** A layer in both directions, whose steps are put side by side, added, multiplied or averaged. */
export function bidirectional(layer: LayerReading): Value {
  const { b, name, config, weights } = layer;
  const { className, config: own } = config.layer as { className: string; config: Config };
  check(className in CELLS, `its layer must be ${Object.keys(CELLS).join(', ')}`, className);
  check(layer.inputs.length === 1, 'it must begin without states', layer.inputs.length);
  const mode = config.mergeMode as string | null;
  check(mode === 'concat' || (mode && mode in MERGES), 'its mergeMode must be concat, sum, mul or ave', mode);
  const half = weights.length / 2;
  const both = [false, true].map((goBackwards) => {
    const way = goBackwards ? 'backward' : 'forward';
    const parts = goBackwards ? weights.slice(half) : weights.slice(0, half);
    return oneWay(layer, `${name}/${way}`, className, { ...own, goBackwards }, parts);
  });
  return mode === 'concat' ? b.add('Concat', name, both, { axis: -1 }) : b.add(MERGES[mode!], name, both);
}
