import type { Call } from '../gpu/call.ts';
import { fakeQuantizeKernel } from '../kernels/fake-quantize.ts';
import { observeRangeKernel } from '../kernels/observe-range.ts';
import { reduceMinMaxKernel } from '../kernels/reduce-min-max.ts';
import type { ActivationQparams } from '../model/quantized-model.ts';
import type { Builder, Stages } from './builder.ts';
import type { AffineLayer, TrainedAdd, TrainedLayer } from './layers.ts';

const GRID = { quantMin: -128, quantMax: 127 };
/** Elements that one slice of a reduction takes. */
const SLICE = 1 << 16;

/** Rounds what a convolution, a batch norm or a sum leaves to its tensor's int8 grid, where it has one. */
export async function roundOutput(
  builder: Builder,
  layer: AffineLayer | TrainedAdd,
  stages: Stages,
): Promise<Stages> {
  const { workshop, options, grids } = builder;
  const grid = options.activations?.get(layer.output);
  if (!grid) return stages;
  const start = new Float32Array([grid.scale, grid.zeroPoint]);
  const qparams = workshop.upload(start, `${layer.output} qparams`);
  grids.set(layer.tensor, qparams);
  const observe =
    options.training.observe > 0
      ? await observeOutput(builder, layer.output, grid, stages.output, qparams)
      : [];
  return { ...(await roundTo(builder, layer, stages, qparams)), observe };
}

/** Rounds what a layer leaves to a grid. */
export async function roundTo(
  { workshop, bytesOf }: Builder,
  layer: TrainedLayer,
  stages: Stages,
  qparams: GPUBuffer,
): Promise<Stages> {
  const count = bytesOf(layer.shape) / 4;
  const range = { count, block: count, lanes: 1, ...GRID };
  const output = workshop.empty(count * 4, `${layer.name} rounded`);
  const round = await workshop.bind(fakeQuantizeKernel, { input: stages.output, qparams, output }, range);
  return { ...stages, round, normal: stages.output, output, rounding: { qparams, range } };
}

/** Lets a grid follow the range of a tensor; both are state of the training. */
async function observeOutput(
  builder: Builder,
  name: string,
  grid: ActivationQparams,
  output: GPUBuffer,
  qparams: GPUBuffer,
): Promise<Call[]> {
  const { workshop, options, state, observed } = builder;
  const range = workshop.upload(rangeOf(grid), `${name} range`);
  state.set(`${name}.activation.range`, range);
  state.set(`${name}.activation.qparams`, qparams);
  observed.set(name, qparams);
  const { minimum, maximum, calls } = await extremes(builder, output);
  const params = { momentum: options.training.observe, ...GRID };
  return [...calls, await workshop.bind(observeRangeKernel, { minimum, maximum, range, qparams }, params)];
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
