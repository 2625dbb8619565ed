import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { float32, type Generator } from './cases-of.ts';

const ACTIVATIONS = ['Relu', 'Tanh', 'Sigmoid', 'HardSigmoid', 'LeakyRelu', 'Elu', 'Softsign', 'Softplus'];

const FRACTIONS = ['Sigmoid', 'HardSigmoid', 'Tanh', 'Softsign'];

/** A recurrent node with any of its inputs and attributes. */
export const recurrent =
  (gates: number, activations: number): Generator =>
  (random) => {
    const lstm = gates === 4;
    const some = (probability = 0.5) => random.next() < probability;
    const direction = random.pick(['forward', 'reverse', 'bidirectional']);
    const directions = direction === 'bidirectional' ? 2 : 1;
    const [times, batches, size, hidden] = [1, 2, 3, 4].map(() => random.integer(1, 5));
    const attributes: Attributes = { hidden_size: hidden, direction };
    if (some(0.4)) {
      // Gates that are no fractions make states grow without end.
      const pickOne = (_: unknown, i: number) => random.pick(i % activations === 0 ? FRACTIONS : ACTIVATIONS);
      attributes.activations = Array.from({ length: directions * activations }, pickOne);
      if (some()) attributes.activation_alpha = [0.25, 0.5];
    }
    if (some(0.3)) attributes.clip = 0.5;
    if (gates === 3) attributes.linear_before_reset = random.integer(0, 1);
    if (lstm && some(0.2)) attributes.input_forget = 1;
    const lengths: OnnxTensor = {
      dtype: 'int32',
      dims: [batches],
      data: Int32Array.from({ length: batches }, () => random.integer(1, times)),
    };
    const state = () => (some() ? float32(random, [directions, batches, hidden]) : null);
    const inputs = [
      float32(random, [times, batches, size]),
      float32(random, [directions, gates * hidden, size]),
      float32(random, [directions, gates * hidden, hidden]),
      some(0.7) ? float32(random, [directions, 2 * gates * hidden]) : null,
      some(0.4) ? lengths : null,
      state(),
      ...(lstm ? [state(), some(0.3) ? float32(random, [directions, 3 * hidden]) : null] : []),
    ];
    while (inputs.at(-1) === null) inputs.pop();
    return { inputs, attributes, opset: random.pick([9, 14]), outputs: lstm ? 3 : 2 };
  };
