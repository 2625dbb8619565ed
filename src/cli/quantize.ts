import { extname } from 'node:path';
import { requantizeRules } from '../conv/requantize.ts';
import { check } from '../gpu/errors.ts';
import { type ConvLayer, fuseAnyShape, hasWeights } from '../lower/fuse.ts';
import { decodeCodebook } from '../lower/layer-codes.ts';
import type { Model } from '../model/graph.ts';
import { isQuantized, type LinearLayer, type QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { asItRuns } from '../onnx/as-it-runs.ts';
import { writeOnnx } from '../onnx/write-onnx.ts';
import { labSizeBytes } from '../run/compare.ts';
import { writeModelFile } from '../run/file.ts';
import { foldedWeights, quantizeModel } from '../run/precision.ts';
import type { Context, OptionValue } from './command.ts';
import { describeAdapter } from './compare.ts';
import { findCommit } from './files.ts';
import {
  bitWidth,
  checkCodeTypes,
  choice,
  codeTypes,
  constantOptions,
  layerBits,
  layerPlan,
  list,
  type PlannedLayer,
  parseNumber,
  seed,
  text,
} from './options.ts';
import { checkShapes, loadSamples, sampleSettings } from './samples.ts';
import { alignTable, columns, decibels, mebibytes, thousands } from './table.ts';
import { loadNetwork, portablePath } from './weights.ts';

/** The library's observers by the names that they have here. */
const CALIBRATION_METHODS = {
  minmax: 'minMax',
  'moving-average': 'movingAverage',
  percentile: 'percentile',
  mse: 'mse',
  entropy: 'entropy',
} as const;
const methodNames = Object.keys(CALIBRATION_METHODS) as (keyof typeof CALIBRATION_METHODS)[];
const QUANTIZED_FORMATS = ['qdq', 'qoperator', 'codebook'] as const;
type QuantizedFormat = (typeof QUANTIZED_FORMATS)[number];
/** Options that say how ranges of activations are found. */
const CALIBRATES = {
  calibration: '--calibration',
  calibrationMethod: '--calibration-method',
  percentile: '--percentile',
  samples: '--samples',
  size: '--size',
  mean: '--mean',
  std: '--std',
  layout: '--layout',
  order: '--order',
  interpolation: '--interpolation',
};
/** Samples that calibrate, unless a count is given. */
const SAMPLES = 256;
const INITS = ['linear', 'quantile', 'random', 'kmeans++', 'optimal'] as const;

/** What quantization did to one layer. */
export interface LayerError {
  layer: string;
  bits: number;
  weights: number;
  mse: number;
  /** Signal to quantization noise of the weights, dB. */
  sqnrDb: number;
}

export async function run(context: Context): Promise<void> {
  const { args, options } = context;
  const out = text(options.out);
  check(out, 'quantize needs a file to write', 'no --out', 'add -o FILE.safetensors or -o FILE.onnx');
  const method = methodOf(options);
  const bits = bitWidth(method, options.bits) ?? (method === 'linear' ? 8 : 4);
  const settings = {
    init: choice('--init', options.init, INITS),
    seed: seed(options.seed),
    requantize: choice('--requantize', options.requantize, requantizeRules),
  };
  const calibrating = choice('--calibration-method', options.calibrationMethod, methodNames) ?? 'minmax';
  check(!options.perChannel || !options.noPerChannel, '--per-channel is given or not', 'both ways');
  const perChannel = options.perChannel ? true : options.noPerChannel ? false : method === 'linear';
  const percentile = percentileOf(options.percentile, calibrating);
  const plan = layerPlan(options.layers, method);
  const excluded = list(options.exclude) ?? [];
  const format = formatFor(out, method, choice('--format', options.format, QUANTIZED_FORMATS));
  const types = codeTypes(options);
  checkCodeTypes(types, format ?? 'safetensors');
  checkWidths(format, [bits, ...plan.map(({ width }) => width)]);
  const from = sampleSettings(options, SAMPLES);
  const constants = constantOptions(options.constant);
  await context.files.reads(args[0]);
  const output = await context.files.claim('--out', out);
  const loaded = await loadNetwork(context.files, args[0], constants);
  const model = floatNetwork(loaded.network, args[0]);
  checkShapes(model, from.shapes);
  const own = layersOf(model);
  check(
    own.length > 0,
    `${args[0]} must have layers to quantize: convolutions of one or two dimensions or products, by constant weights`,
    'none',
    'lloyd check says what runs of it',
  );
  const layers = layerBits(plan, own, excluded);
  const samples = method === 'linear' ? await loadSamples(context.files, model, from, SAMPLES) : undefined;
  const runtime = await context.runtime();
  context.print(
    `Quantizing ${await portablePath(args[0])} to ${method} ${bits} bit, on ${describeAdapter(runtime)}`,
  );
  if (samples) context.note(`calibrating on ${samples.what}, by ${calibrating}`);
  const started = performance.now();
  const quantized = await quantizeModel(runtime, model, {
    ...settings,
    ...{ method, bits, layers, percentile },
    observer: CALIBRATION_METHODS[calibrating],
    granularity: perChannel ? { kind: 'perAxis', axis: 0 } : 'perTensor',
    calibration: samples?.calibration,
    shapes: samples?.shapes ?? from.shapes,
    signal: context.signal,
  });
  const seconds = (performance.now() - started) / 1000;
  context.signal.throwIfAborted();

  const errors = layerErrors(quantized);
  const source = { source: await portablePath(args[0]), sourceSha256: loaded.sha256 };
  const bytes = format
    ? writeOnnx(quantized, { format, ...types, shapes: samples?.shapes ?? from.shapes, metadata: source })
    : writeModelFile(quantized, source);
  context.print();
  const lines = alignTable(
    columns('layer, bits, weights, MSE, SQNR dB'),
    errors.map((e) => [
      e.layer,
      String(e.bits),
      thousands(e.weights),
      e.mse.toExponential(3),
      decibels(e.sqnrDb),
    ]),
  );
  for (const line of lines) context.print(line);
  const kept = own.filter(({ name }) => !quantized.layers.has(name));
  if (kept.length > 0) context.print(`float: ${kept.map(({ name }) => name).join(', ')}`);
  const original = labSizeBytes(model, 32);
  const packed = labSizeBytes(model, bits);
  context.print();
  context.print(
    `original ${mebibytes(original)} MiB as float32, ${mebibytes(loaded.fileBytes)} MiB as the file it came in`,
  );
  context.print(`packed ${mebibytes(packed)} MiB, every parameter counted at ${bits} bit`);
  context.print(
    `file ${mebibytes(bytes.byteLength)} MiB, ${method === 'kmeans' ? 'codebooks' : 'scales'} included; ${seconds.toFixed(1)} s`,
  );
  await output.write(bytes);
  context.note(`wrote ${out}`);
  await context.writeJson({
    adapter: runtime.adapter,
    method,
    bits,
    perChannel,
    input: { file: await portablePath(args[0]), sha256: loaded.sha256, fileBytes: loaded.fileBytes },
    format: format ?? 'safetensors',
    ...types,
    ...(samples && { calibration: samples.what, calibrationMethod: calibrating, percentile }),
    originalBytes: original,
    packedBytes: packed,
    fileBytes: bytes.byteLength,
    seconds,
    layers: errors,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
}

/** The method asked for; linear where something calibrates it. */
function methodOf(options: Context['options']): 'kmeans' | 'linear' {
  const asked = choice('--method', options.method, ['kmeans', 'linear']);
  const given = Object.entries(CALIBRATES).find(([name]) => options[name] !== undefined);
  check(
    asked !== 'kmeans' || !given,
    `${given?.[1]} is of --method linear: codebooks need no calibration`,
    '--method kmeans',
    'leave one of them out',
  );
  return asked ?? (given ? 'linear' : 'kmeans');
}

function percentileOf(value: OptionValue, method: string): number | undefined {
  if (value === undefined) return undefined;
  const percentile = parseNumber(value);
  check(
    percentile !== undefined && percentile > 0 && percentile <= 100,
    '--percentile must be a number above 0 and at most 100',
    value,
  );
  const cure = 'add --calibration-method percentile';
  check(method === 'percentile', '--percentile is of that calibration method', method, cure);
  return percentile;
}

/** What a quantized network is written as: undefined for safetensors. */
function formatFor(
  out: string,
  method: 'kmeans' | 'linear',
  asked: QuantizedFormat | undefined,
): QuantizedFormat | undefined {
  const isOnnx = extname(out).toLowerCase() === '.onnx';
  const isSafetensors = extname(out).toLowerCase() === '.safetensors';
  check(!asked || !isSafetensors, '--format is of an ONNX file', out, 'add -o FILE.onnx');
  const own = asked ?? (isOnnx ? (method === 'linear' ? 'qdq' : 'codebook') : undefined);
  const fits = own === undefined || (own === 'codebook') === (method === 'kmeans');
  const cure = method === 'kmeans' ? 'use codebook, or --method linear' : 'use qdq or qoperator';
  check(fits, `--format must be one of what ${method} quantizes to`, own, cure);
  return own;
}

/** ONNX's integers are of 8 and of 4 bits, its operators on codes take 8. */
function checkWidths(format: QuantizedFormat | undefined, widths: readonly number[]): void {
  if (format !== 'qdq' && format !== 'qoperator') return;
  const allowed = format === 'qdq' ? [4, 8, 32] : [8, 32];
  const wrong = widths.find((width) => !allowed.includes(width));
  const cure = 'choose another width, or -o FILE.safetensors';
  check(
    wrong === undefined,
    `${format} holds weights of ${allowed.slice(0, -1).join(' or ')} bits`,
    wrong,
    cure,
  );
}

/** The float network that is to be quantized. */
function floatNetwork(network: Model | QuantizedModel, path: string): Model {
  const is = !isQuantized(asItRuns(network));
  check(is, 'the input must be an fp32 network', `${path}, quantized already`);
  return network as Model;
}

/** The layers that have weights to quantize, with their operators. */
function layersOf(model: Model): PlannedLayer[] {
  const { nodes } = toGraphModel(model).graph;
  const operators = new Map(nodes.map(({ name, op }) => [name, op]));
  return convsOf(model).map(({ name }) => ({ name, op: operators.get(name) ?? '' }));
}

function convsOf(model: Model): ConvLayer[] {
  return fuseAnyShape(model).layers.filter(hasWeights);
}

/** Each layer's weights against the values their codes stand for (linear: batch norm folded in, as it is stored). */
export function layerErrors(quantized: QuantizedModel): LayerError[] {
  return convsOf(quantized.model).flatMap((conv) => {
    const layer = quantized.layers.get(conv.name);
    if (!layer) return [];
    const exact = layer.method === 'kmeans' ? conv.weight : foldedWeights(conv);
    const row = layer.method === 'linear' ? layer.codes.length / layer.scale.length : 0;
    const decoded = layer.method === 'kmeans' ? decodeCodebook(layer) : null;
    const meaning = (i: number) =>
      decoded ? decoded[i] : layer.codes[i] * (layer as LinearLayer).scale[Math.floor(i / row)];
    let signal = 0;
    let noise = 0;
    for (let i = 0; i < exact.length; i++) {
      signal += exact[i] ** 2;
      noise += (exact[i] - meaning(i)) ** 2;
    }
    return {
      layer: conv.name,
      bits: layer.bits,
      weights: exact.length,
      mse: noise / exact.length,
      sqnrDb: noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise),
    };
  });
}
