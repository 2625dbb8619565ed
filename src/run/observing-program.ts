import { check } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { sizeOf } from '../graph/ops/tensors.ts';
import { observeHistogramKernel } from '../kernels/observe-histogram.ts';
import { reduceMinMaxKernel } from '../kernels/reduce-min-max.ts';
import { type FusedGraph, layerInputs } from '../lower/fuse.ts';
import { FINITE, type Step, vectors } from '../lower/lower.ts';
import { lowerFused } from '../lower/lower-model.ts';
import type { TensorOperand } from '../lower/placement.ts';
import { StreamingHistogram } from '../quantize/histogram.ts';
import { OBSERVED_BINS, observedLimit } from '../reference/observe-histogram.ts';
import { buildExecutor, type Given } from './executor.ts';

/** Takes what a pass left of a value: its ends, or its counts; null where it holds infinities, as a sum with a mask does. */
export type Observe = (name: string, batch: Float32Array | StreamingHistogram | null) => void;

/**
 * A float program whose every activation that an integer layer reads or leaves is reduced to its range after a pass, or
 * counted in a histogram, on the GPU.
 */
export async function observingProgram(
  runtime: Runtime,
  fused: FusedGraph,
  counting: boolean,
  signal?: AbortSignal,
) {
  const lowered = await lowerFused(runtime, fused, null);
  const watched = observedValues(fused);
  const ofWeights = new Set(
    fused.layers.flatMap((layer) => (layer.kind === 'conv2d' ? [layer.input, layer.output] : [])),
  );
  const steps: Step[] = [];
  /** What is read of each: its minimum, its maximum, its counts. */
  const results = new Map<string, TensorOperand[]>();
  /** An operator may have several outputs, by names of their own. */
  const writtenBy = ({ kernel, operands }: Step): TensorOperand[] =>
    Object.entries(operands).flatMap(([name, operand]) =>
      'tensor' in operand && kernel.declaration.bindings[name].access !== 'read' ? [operand] : [],
    );
  // A concatenation is whole after its last dispatch.
  const last = new Map(lowered.steps.flatMap((step) => writtenBy(step).map(({ tensor }) => [tensor, step])));
  const isWhole = ({ tensor }: TensorOperand, step: Step) =>
    watched.includes(tensor) && last.get(tensor) === step;
  for (const step of lowered.steps) {
    steps.push(step);
    for (const written of writtenBy(step).filter((operand) => isWhole(operand, step))) {
      const count = written.byteLength / 4;
      const common = { name: step.name, specialization: {}, macs: 0, shape: step.shape };
      const minimum = { tensor: `${written.tensor} minimum`, byteLength: 4 };
      const maximum = { tensor: `${written.tensor} maximum`, byteLength: 4 };
      const ends = { input: written, minimum, maximum };
      results.set(written.tensor, [minimum, maximum]);
      steps.push({
        ...common,
        kernel: reduceMinMaxKernel as unknown as Kernel,
        operands: ends,
        params: { count, axisSize: 1, axisStride: count, slices: 1 },
      });
      if (!counting) continue;
      const slices = slicesOf(count);
      const counts = { tensor: `${written.tensor} counts`, byteLength: slices * OBSERVED_BINS * 4 };
      results.get(written.tensor)!.push(counts);
      // Zeros that pad the channels to a multiple of four move no extremes, but they would be counted.
      const isPadded = count > sizeOf(fused.graph.values.get(written.tensor)!.dims);
      const { channels } = step.shape;
      const rows = isPadded
        ? { rowLength: Math.max(1, vectors(step.shape) * 4), channels }
        : { rowLength: 1, channels: 1 };
      steps.push({
        ...common,
        kernel: observeHistogramKernel as unknown as Kernel,
        operands: { ...ends, counts },
        params: { count, ...rows, slices },
      });
    }
  }
  const kept = new Set([...results.values()].flat().map(({ tensor }) => tensor));
  const executor = await buildExecutor(runtime, { ...lowered, steps }, kept, signal);
  const pass = async (given: readonly Given[], observe: Observe) => {
    const entered = given.map((each, i) => executor.enter(i, each));
    guardOf(runtime.device).note('the calibration samples', () => {
      for (const [i, { data }] of entered.entries()) executor.write(i, data);
    });
    runtime.submit([...entered.flatMap(({ call }) => call ?? []), ...executor.calls]);
    for (const name of watched) {
      const [minimum, maximum, counts] = await Promise.all(
        results.get(name)!.map(async (operand) => {
          const { buffer } = executor.arena.buffer(operand);
          return runtime.read(buffer, operand.byteLength);
        }),
      );
      const [[low], [high]] = [new Float32Array(minimum), new Float32Array(maximum)];
      if (!ofWeights.has(name) && (low === -Infinity || high === Infinity)) {
        observe(name, null);
        continue;
      }
      check(
        low > -FINITE && high < FINITE,
        `${name}: activations must be finite to be calibrated`,
        `${low} to ${high}`,
        'check the weights and the images',
      );
      observe(name, counts ? histogramOf(new Uint32Array(counts), low, high) : Float32Array.of(low, high));
    }
  };
  return { inputs: lowered.inputs, pass, destroy: () => executor.destroy() };
}

/** Slices in which a tensor is counted: enough to fill a device, few to be read. */
const slicesOf = (count: number) => Math.max(1, Math.min(16, Math.ceil(count / 2 ** 14)));

function histogramOf(slices: Uint32Array, low: number, high: number): StreamingHistogram {
  const counts = new Float64Array(OBSERVED_BINS);
  for (let i = 0; i < slices.length; i++) counts[i % OBSERVED_BINS] += slices[i];
  const limit = low === 0 && high === 0 ? 0 : observedLimit(low, high);
  return StreamingHistogram.of(counts, limit, low, high);
}

/** The values that integer layers read or leave; inputs are not among them. */
function observedValues({ layers, graph }: FusedGraph): string[] {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const names = new Set<string>();
  for (const layer of layers) {
    if (layer.kind === 'operator') continue;
    for (const name of layerInputs(layer)) names.add(name);
    names.add(layer.output);
  }
  return [...names].filter((name) => !inputs.has(name));
}
