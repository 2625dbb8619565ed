// What the readers of tfjs make, on the host's twins, against tfjs itself on its CPU backend.
import * as tf from '@tensorflow/tfjs';
import { expect } from 'vitest';
import type { Runtime } from '../../src/gpu/runtime.ts';
import { concreteGraph } from '../../src/graph/concrete.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { numbersOf } from '../../src/graph/ops/value.ts';
import { compile } from '../../src/run/session.ts';
import { fromGraphModel, fromLayersModel } from '../../src/tfjs/index.ts';
import { interpretGraph } from './interpret-graph.ts';
import { seeded } from './runtime.ts';

type Random = ReturnType<typeof seeded>;
export interface Sizes {
  /** Sizes of inputs that leave some open; the batch is 2 unless they say. */
  shapes?: Record<string, number[]>;
  seed?: number;
  /** Draws an input's values, 0 to 1 unless given. */
  draw?: (random: Random) => number;
  logits?: boolean;
  /** Where a session of it runs, too, and is held to the host's twins. */
  runtime?: Runtime;
}

/** Inputs by name: tfjs's tensors and ours. */
function drawn(model: GraphModel, { shapes = {}, seed = 4, draw = (r) => r.next() }: Sizes) {
  const random = seeded(seed);
  return model.graph.inputs.map(({ name, dtype, shape }) => {
    const dims = shapes[name] ?? shape.map((size) => (size === 'batch' ? 2 : (size as number)));
    const count = dims.reduce((a, b) => a * b, 1);
    const values = Array.from({ length: count }, () =>
      dtype === 'float32' ? draw(random) : dtype === 'bool' ? random.integer(0, 1) : random.integer(0, 3),
    );
    const data = dtype === 'float32' ? Float32Array.from(values) : Int32Array.from(values);
    const own = dtype === 'bool' ? Uint8Array.from(values) : data;
    const ours = { dtype, dims, data: own } as OnnxTensor;
    return { name, ours, theirs: tf.tensor(own as Float32Array, dims, dtype as 'float32') };
  });
}

/** A network of these alone computes nothing, which sessions refuse. */
const VIEWS = ['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose'];

async function inSession(
  runtime: Runtime,
  model: GraphModel,
  inputs: ReturnType<typeof drawn>,
  twins: Record<string, OnnxTensor>,
): Promise<void> {
  const shapes = Object.fromEntries(inputs.map(({ name, ours }) => [name, ours.dims]));
  const session = await compile(runtime, model, { shapes });
  const got = await session.run(Object.fromEntries(inputs.map(({ name, ours }) => [name, ours])));
  session.destroy();
  for (const name of model.graph.outputs) {
    expect([name, got[name].dtype, got[name].dims]).toEqual([name, twins[name].dtype, twins[name].dims]);
    const [own, other] = [numbersOf(got[name]), numbersOf(twins[name])];
    const scale = Math.max(...other.map(Math.abs).filter(Number.isFinite), 1e-30);
    const at = own.findIndex((x, i) => !Object.is(x, other[i]) && !(Math.abs(x - other[i]) / scale < 1e-4));
    expect(at < 0 ? null : [name, at, own[at], other[at]]).toBe(null);
  }
}

/** Holds every output to tfjs's: shape, dtype, values within 1e-4 of the largest. */
async function compared(model: GraphModel, theirs: (inputs: tf.NamedTensorMap) => tf.Tensor[], sizes: Sizes) {
  const inputs = drawn(model, sizes);
  const want = theirs(Object.fromEntries(inputs.map(({ name, theirs: own }) => [name, own])));
  const got = interpretGraph(model, Object.fromEntries(inputs.map(({ name, ours }) => [name, ours])));
  const computes = concreteGraph(model, {
    shapes: Object.fromEntries(inputs.map(({ name, ours }) => [name, ours.dims])),
  }).nodes.some(({ op }) => !VIEWS.includes(op));
  if (sizes.runtime && computes) await inSession(sizes.runtime, model, inputs, got);
  const outputs = model.graph.outputs.map((name) => got[name]);
  expect(outputs.map(({ dims }) => dims)).toEqual(want.map(({ shape }) => shape));
  expect(outputs.map(({ dtype }) => (dtype === 'int64' ? 'int32' : dtype))).toEqual(want.map((t) => t.dtype));
  for (const [i, tensor] of want.entries()) {
    const [own, other] = [numbersOf(outputs[i]), [...tensor.dataSync()]];
    const scale = Math.max(...other.map(Math.abs).filter(Number.isFinite), 1e-30);
    const worst = own.reduce(
      (most, x, at) => (Object.is(x, other[at]) ? most : Math.max(most, Math.abs(x - other[at]))),
      0,
    );
    expect(
      worst / scale,
      `${model.graph.outputs[i]}: ${own.slice(0, 8)} against ${other.slice(0, 8)}`,
    ).toBeLessThan(1e-4);
  }
  return { model, inputs, want };
}

export async function graphAsTfjs(model: tf.GraphModel, sizes: Sizes = {}) {
  await tf.setBackend('cpu');
  const read = await fromGraphModel(model, sizes);
  return compared(
    read,
    (inputs) => [model.execute(inputs, sizes.logits ? [...read.graph.outputs] : model.outputNodes)].flat(),
    sizes,
  );
}

export async function layersAsTfjs(model: tf.LayersModel, sizes: Sizes = {}) {
  await tf.setBackend('cpu');
  const read = await fromLayersModel(model, sizes);
  return compared(
    read,
    (inputs) => [model.predict(read.graph.inputs.map(({ name }) => inputs[name])) as tf.Tensor].flat(),
    sizes,
  );
}

/** Operators of what is left when shapes are known and constants computed. */
export const operatorsOf = (model: GraphModel, batch = 1) =>
  concreteGraph(model, { batch }).nodes.map(({ op }) => op);
