// Inputs for quantizeModel and compile: random graphs with their parameters, some of them contradicting each other.

import { requantizeRules } from '../../src/conv/requantize.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import {
  type ImageGraph,
  type ImageModel,
  type ImageNode,
  type ImageShape,
  inferShapes,
} from '../../src/model/graph.ts';
import { parameterShapes } from '../../src/model/parameters.ts';
import { OBSERVER_METHODS } from '../../src/quantize/calibration.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { closeGpu, gpu, openGpu, unheardError } from './gpu.ts';
import type { Random } from './random.ts';
import type { Target } from './target.ts';

interface Network {
  model: ImageModel;
  images: Float32Array | Uint8Array;
  batch: number;
  quantize?: Record<string, unknown>;
}

const pair = (random: Random, values: readonly number[]): [number, number] => [
  random.pick(values),
  random.pick(values),
];
const pads = (random: Random): [number, number, number, number] =>
  random.chance(0.5)
    ? [0, 0, 0, 0]
    : (random.list(4, () => random.int(2)) as [number, number, number, number]);

function makeNode(
  random: Random,
  name: string,
  from: string,
  shape: ImageShape,
  others: string[],
): ImageNode {
  const inputs = [from];
  const { channels } = shape;
  switch (random.int(11)) {
    case 0:
    case 1: {
      const groups = random.chance(0.25) ? channels : random.chance(0.1) ? 2 : 1;
      const outChannels = groups > 1 ? channels : random.pick([1, 2, 4, 5]);
      const odd = random.chance(0.03) ? random.pick([0, -1, 1.5, 2 ** 31]) : undefined;
      return {
        op: 'conv2d',
        name,
        inputs,
        kernel: pair(random, [1, 1, 2, 3]),
        outChannels: odd ?? outChannels,
        pads: pads(random),
        strides: pair(random, random.chance(0.97) ? [1, 1, 2] : [0, -1]),
        ...(groups > 1 && { groups }),
        ...(random.chance(0.1) && { dilations: pair(random, [1, 2]) }),
      };
    }
    case 2:
      return { op: 'batchNorm', name, inputs };
    case 3:
    case 4:
      return { op: random.pick(['relu', 'relu6'] as const), name, inputs };
    case 5:
      return {
        op: 'maxPool',
        name,
        inputs,
        kernel: pair(random, [1, 2, 3]),
        strides: pair(random, [1, 2]),
        pads: pads(random),
      };
    case 6:
      return {
        op: 'averagePool',
        name,
        inputs,
        kernel: pair(random, [1, 2, 3]),
        strides: pair(random, [1, 2]),
        pads: pads(random),
      };
    case 7:
      return { op: random.pick(['add', 'concat'] as const), name, inputs: [from, random.pick(others)] };
    case 8:
      return { op: 'linear', name, inputs, outFeatures: 1 + random.int(5) };
    case 9:
      return { op: random.pick(['flatten', 'identity'] as const), name, inputs };
    default:
      return random.chance(0.9)
        ? { op: 'globalAveragePool', name, inputs }
        : ({ op: 'softplus', name, inputs } as never);
  }
}

function makeGraph(random: Random): ImageGraph {
  const input = {
    name: random.pick(['input', 'image', 'x']),
    height: 1 + random.int(7),
    width: 1 + random.int(7),
    channels: 1 + random.int(5),
  };
  const nodes: ImageNode[] = [];
  const graph = (): ImageGraph => ({
    name: 'random',
    input,
    nodes,
    output: nodes.at(-1)?.name ?? input.name,
  });
  for (let i = 1 + random.int(6); i > 0; i--) {
    const names = [input.name, ...nodes.map(({ name }) => name)];
    const from = random.chance(0.8) ? names.at(-1)! : random.pick(names);
    let shape: ImageShape = input;
    try {
      shape = nodes.length > 0 ? inferShapes(graph()).get(from)! : input;
    } catch {
      // Built on all the same: it must be refused as a whole.
    }
    nodes.push(
      makeNode(random, random.chance(0.97) ? `n${nodes.length}` : random.pick(names), from, shape, names),
    );
  }
  return graph();
}

function makeParameters(random: Random, graph: ImageGraph): Map<string, Tensor> {
  let shapes = new Map<string, number[]>();
  try {
    shapes = parameterShapes(graph);
  } catch {
    // No shapes: no parameters.
  }
  const parameters = new Map<string, Tensor>();
  for (const [name, dims] of shapes) {
    const count = dims.reduce((a, b) => a * b, 1);
    if (!Number.isInteger(count) || count < 0 || count > 100_000) continue;
    const positive = /var$/.test(name);
    const scale = random.chance(0.05) ? random.pick([0, 1e-30, 1e-7, 1e6, 1e30]) : 1;
    const data = Float32Array.from(
      { length: count },
      () => (positive ? random.next() + 0.1 : random.next() - 0.5) * scale,
    );
    if (random.chance(0.02)) data[random.int(count)] = random.pick([Number.NaN, Infinity, -1, 3e38]);
    const shape = random.chance(0.01) ? [count] : dims;
    if (random.chance(0.99)) parameters.set(name, { dtype: 'float32', dims: shape, data });
  }
  return parameters;
}

function makeNetwork(random: Random, quantized: boolean): Network {
  const graph = makeGraph(random);
  const { height, width, channels } = graph.input;
  const count = 1 + random.int(3);
  const length = count * height * width * channels + (random.chance(0.02) ? 1 : 0);
  const images = random.chance(0.5)
    ? random.bytes(length)
    : Float32Array.from({ length }, () => (random.chance(0.002) ? Number.NaN : random.next() * 2 - 0.5));
  const network = {
    model: { graph, parameters: makeParameters(random, graph) },
    images,
    batch: 1 + random.int(3),
  };
  if (!quantized) return network;
  const linear = random.chance(0.6);
  return {
    ...network,
    quantize: {
      method: random.chance(0.99) ? (linear ? 'linear' : 'kmeans') : 'x',
      bits: random.chance(0.95) ? (linear ? 8 : 1 + random.int(8)) : random.pick([0, 9, 1.5, Number.NaN]),
      ...(linear && random.chance(0.97) && { calibration: images }),
      ...(random.chance(0.3) && { requantize: random.pick(requantizeRules) }),
      ...(random.chance(0.05) && { layers: { n0: random.int(10) } }),
      ...(random.chance(0.05) && { observer: random.pick([...OBSERVER_METHODS, 'x']) }),
    },
  };
}

async function run({ model, images, batch, quantize }: Network) {
  const network = quantize ? await quantizeModel(gpu(), model, quantize as never) : model;
  const session = await compile(gpu(), network, { batch });
  try {
    return (await session.run(images)) as Float32Array;
  } finally {
    session.destroy();
  }
}

function outputBroken(output: Float32Array, { model: { graph }, images }: Network): string | undefined {
  const { height, width, channels } = inferShapes(graph).get(graph.output)!;
  const count = images.length / (graph.input.height * graph.input.width * graph.input.channels);
  if (output.length !== count * height * width * channels)
    return 'another number of values than the outputs have';
  return unheardError();
}

const show = ({ model, images, batch, quantize }: Network) =>
  JSON.stringify({
    ...model.graph,
    parameters: [...model.parameters].map(([n, { dims }]) => [n, dims]),
    images: images.length,
    batch,
    quantize: { ...quantize, calibration: undefined },
  });

export const networkTargets: Target<Network>[] = (['compile', 'quantize'] as const).map((name) => ({
  name,
  kind: 'surface',
  open: openGpu,
  make: (random) => makeNetwork(random, name === 'quantize'),
  run,
  verify: outputBroken,
  show,
  close: closeGpu,
}));
