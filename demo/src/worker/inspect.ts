import { kmeans, kmeansDequantize, linearDequantize, linearQuantize, logitSqnrDb } from 'lloyd';
import { type Tensor, toFloat32 } from 'lloyd/io';
import type { Calls, Inspection, InspectRequest } from '../protocol.ts';
import type { Context } from './main.ts';
import type { State } from './state.ts';

const BINS = 121;

interface Histogram {
  values: Float32Array;
  dims: readonly number[];
  counts: Uint32Array;
  low: number;
  high: number;
}

const histograms = new Map<string, Histogram>();
const inspections = new Map<string, Inspection>();

/** A layer's weights, the values they may take at a precision, and how far off that leaves them. */
export async function inspect(
  request: InspectRequest,
  { state, signal }: Context<'inspect'>,
): Promise<Inspection> {
  const key = JSON.stringify(request);
  const known = inspections.get(key);
  if (known) return known;
  const histogram = histogramOf(state, request.layer);
  signal.throwIfAborted();
  const { counts, low, high, values, dims } = histogram;
  const own = request.bits === 32 ? untouched(histogram) : await quantized(state, histogram, request);
  const channels = dims[0];
  const inspection = { ...request, counts, low, high, weights: values.length, channels, ...own };
  inspections.set(key, inspection);
  return inspection;
}

/** The first weights of a layer, as trained. */
export async function values(
  { layer, count }: Calls['values']['request'],
  { state }: Context<'values'>,
): Promise<Float32Array> {
  return histogramOf(state, layer).values.slice(0, count);
}

type Quantized = Pick<Inspection, 'levels' | 'channel' | 'sqnrDb' | 'bytes'>;

function untouched({ values }: Histogram): Quantized {
  const sqnrDb = Number.POSITIVE_INFINITY;
  return { levels: new Float32Array(), channel: null, sqnrDb, bytes: values.length * 4 };
}

async function quantized(
  { runtime }: State,
  { values, dims }: Histogram,
  { method, bits, granularity }: InspectRequest,
): Promise<Quantized> {
  const perChannel = granularity === 'perChannel';
  const codeBytes = Math.ceil((values.length * bits) / 8);
  if (method === 'kmeans') {
    const clustered = await kmeans(runtime, values, {
      bits,
      // The optimum for both: only then do more codebooks never fit worse than one.
      init: 'optimal',
      ...(perChannel && { granularity: { kind: 'perAxis', axis: 0 }, shape: dims }),
    });
    const { codebook, clusters, groups } = clustered;
    const widest = indexOfLargest(groups, (g) => codebook[(g + 1) * clusters - 1] - codebook[g * clusters]);
    return {
      levels: codebook.slice(widest * clusters, (widest + 1) * clusters),
      channel: perChannel ? widest : null,
      sqnrDb: logitSqnrDb(await kmeansDequantize(runtime, clustered), values),
      bytes: codeBytes + codebook.byteLength,
    };
  }
  const grid = await linearQuantize(runtime, values, {
    bits,
    shape: dims,
    scheme: 'symmetric',
    ...(perChannel && { axis: 0 }),
  });
  const widest = indexOfLargest(grid.scale.length, (channel) => grid.scale[channel]);
  const lowest = -(2 ** (bits - 1));
  return {
    levels: Float32Array.from({ length: 2 ** bits }, (_, i) => (lowest + i) * grid.scale[widest]),
    channel: perChannel ? widest : null,
    sqnrDb: logitSqnrDb(await linearDequantize(runtime, grid), values),
    bytes: codeBytes + grid.scale.byteLength,
  };
}

function indexOfLargest(count: number, value: (index: number) => number): number {
  let best = 0;
  for (let i = 1; i < count; i++) if (value(i) > value(best)) best = i;
  return best;
}

function histogramOf({ model }: State, layer: string): Histogram {
  const known = histograms.get(layer);
  if (known) return known;
  const tensor = model.parameters.get(`${layer}.weight`)!;
  const values = toFloat32(tensor as Tensor);
  let low = 0;
  let high = 0;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const counts = new Uint32Array(BINS);
  const scale = BINS / (high - low || 1);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor((value - low) * scale))]++;
  const histogram = { values, dims: [...tensor.dims], counts, low, high };
  histograms.set(layer, histogram);
  return histogram;
}
