import type { Call } from '../gpu/kernel.ts';
import { fakeQuantizeKernel } from '../kernels/fake-quantize.ts';
import { observeRangeKernel } from '../kernels/observe-range.ts';
import { reduceMinMaxKernel } from '../kernels/reduce-min-max.ts';
import type { ActivationQparams } from '../model/precision.ts';
import type { Builder, Stages } from './builder.ts';
import type { TrainedConv, TrainedLayer } from './layers.ts';

const GRID = { quantMin: -128, quantMax: 127 };
/** Elements that one slice of a reduction takes. */
const SLICE = 1 << 16;

/** The grid of a convolution's output on the GPU, moved by an observer where training asks for one. */
export async function startGrid(
  builder: Builder,
  layer: TrainedConv,
  output: GPUBuffer,
): Promise<{ qparams?: GPUBuffer; observe?: Call[] }> {
  const { workshop, options, state, observed } = builder;
  const grid = options.activations?.get(layer.output);
  if (!grid) return {};
  const { scale, zeroPoint } = grid;
  const qparams = workshop.upload(new Float32Array([scale, zeroPoint]), `${layer.output} qparams`);
  const momentum = options.training.observe;
  if (momentum === 0) return { qparams };
  const range = workshop.upload(rangeOf(grid), `${layer.output} range`);
  state.set(`${layer.output}.range`, range);
  state.set(`${layer.output}.qparams`, qparams);
  observed.set(layer.output, qparams);
  const { minimum, maximum, calls } = await extremes(builder, output);
  const move = await workshop.bind(
    observeRangeKernel,
    { minimum, maximum, range, qparams },
    { momentum, ...GRID },
  );
  return { qparams, observe: [...calls, move] };
}

/** Rounds what a layer leaves to its tensor's int8 grid, where there is one. */
export async function roundOutput(builder: Builder, layer: TrainedLayer, stages: Stages): Promise<Stages> {
  const { workshop, qparams, bytesOf } = builder;
  if (!qparams) return stages;
  const count = bytesOf(layer.shape) / 4;
  const range = { count, block: count, lanes: 1, ...GRID };
  const output = workshop.empty(count * 4, `${layer.name} rounded`);
  const round = await workshop.bind(fakeQuantizeKernel, { input: stages.output, qparams, output }, range);
  return { ...stages, round, normal: stages.output, output, rounding: { qparams, range } };
}

/** The ends of a grid: the range that calibration saw, as far as its codes tell. */
function rangeOf({ scale, zeroPoint }: ActivationQparams): Float32Array {
  return Float32Array.of((GRID.quantMin - zeroPoint) * scale, (GRID.quantMax - zeroPoint) * scale);
}

/** Smallest and largest element of a buffer: in slices, then of those. */
async function extremes({ workshop }: Builder, input: GPUBuffer) {
  const count = input.size / 4;
  const slices = Math.ceil(count / SLICE);
  const ends = () => ({
    minimum: workshop.empty(slices * 4, 'minimum'),
    maximum: workshop.empty(slices * 4, 'maximum'),
  });
  const first = ends();
  const params = { count, axisSize: 1, axisStride: count, slices };
  const calls = [await workshop.bind(reduceMinMaxKernel, { input, ...first }, params)];
  if (slices === 1) return { ...first, calls };
  const [low, high] = [ends(), ends()];
  const again = { count: slices, axisSize: 1, axisStride: slices, slices: 1 };
  calls.push(
    await workshop.bind(reduceMinMaxKernel, { input: first.minimum, ...low }, again),
    await workshop.bind(reduceMinMaxKernel, { input: first.maximum, ...high }, again),
  );
  return { minimum: low.minimum, maximum: high.maximum, calls };
}
