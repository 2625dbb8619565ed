import { check } from '../gpu/errors.ts';
import { labSizeBytes } from '../model/compare.ts';
import { writeModelFile } from '../model/file.ts';
import { type ConvLayer, fuseGraph } from '../model/fuse.ts';
import { decodeCodebook } from '../model/layer-codes.ts';
import { foldedWeights, quantizeModel } from '../model/precision.ts';
import { isQuantized, type LinearLayer, type QuantizedModel } from '../model/quantized-model.ts';
import { requantizeRules } from '../quantize/requantize.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { loadImages } from './data.ts';
import { findCommit } from './files.ts';
import { bitWidth, choice, integer, layerBits, layerPlan, seed, TRAINING_IMAGES, text } from './options.ts';
import { alignTable, columns, decibels, mebibytes, thousands } from './table.ts';
import { loadModel, portablePath } from './weights.ts';

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
  check(out, 'quantize needs a file to write', 'no --out', 'add -o FILE.safetensors');
  const method = choice('--method', options.method, ['kmeans', 'linear']) ?? 'kmeans';
  const bits = bitWidth(method, options.bits) ?? 4;
  const settings = {
    init: choice('--init', options.init, INITS),
    seed: seed(options.seed),
    requantize: choice('--requantize', options.requantize, requantizeRules),
  };
  const calibrationCount = integer('--calibration', options.calibration, 1, TRAINING_IMAGES) ?? 256;
  const plan = layerPlan(options.layers, method);
  await context.files.reads(args[0]);
  const output = await context.files.claim('--out', out);
  const loaded = await loadModel(context.files, args[0]);
  check(!isQuantized(loaded.network), 'the input must be an fp32 network', `${args[0]}, quantized already`);
  const model = loaded.network;
  const names = convsOf(model).map(({ name }) => name);
  const layers = layerBits(plan, names);
  const runtime = await context.runtime();
  context.print(
    `Quantizing ${await portablePath(args[0])} to ${method} ${bits} bit, on ${describeAdapter(runtime)}`,
  );
  const calibration =
    method === 'linear' ? (await loadImages(context.files, 1, calibrationCount)).calibration : undefined;
  const started = performance.now();
  const quantized = await quantizeModel(runtime, model, { method, bits, layers, calibration, ...settings });
  const seconds = (performance.now() - started) / 1000;
  context.signal.throwIfAborted();

  const errors = layerErrors(quantized);
  const bytes = writeModelFile(quantized, {
    source: await portablePath(args[0]),
    sourceSha256: loaded.sha256,
  });
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
    input: { file: await portablePath(args[0]), sha256: loaded.sha256, fileBytes: loaded.fileBytes },
    originalBytes: original,
    packedBytes: packed,
    fileBytes: bytes.byteLength,
    seconds,
    layers: errors,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
}

function convsOf(model: QuantizedModel['model']): ConvLayer[] {
  return fuseGraph(model).layers.filter((layer): layer is ConvLayer => layer.kind === 'conv2d');
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
