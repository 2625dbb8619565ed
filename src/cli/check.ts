import { check, LloydError } from '../gpu/errors.ts';
import type { GraphModel, ShapeOptions } from '../graph/graph.ts';
import { fuseAnyShape } from '../lower/fuse.ts';
import type { Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { asItRuns } from '../onnx/as-it-runs.ts';
import { type NodeSupport, supportedNodes } from '../onnx/supported-nodes.ts';
import {
  type ActivationErrors,
  compareActivations,
  type GraphNetwork,
  type LayerActivations,
  layerKinds,
} from '../run/activation-errors.ts';
import { modelFileBytes } from '../run/file.ts';
import { quantizeModel } from '../run/precision.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { findCommit } from './files.ts';
import { constantOptions, parseNumber, text } from './options.ts';
import { createProgress } from './progress.ts';
import { checkShapes, loadSamples, sampleSettings } from './samples.ts';
import { alignTable, columns, decibels, mebibytes } from './table.ts';
import { type LoadedModel, loadNetwork, portablePath } from './weights.ts';

/** Samples that are run, unless a count is given: layers differ far more than samples do. */
const SAMPLES = 32;

/** Every value of three networks lies on the GPU at once: few pictures do. */
const BATCH_VALUES = 2 ** 18;

type Loaded = LoadedModel<Model | QuantizedModel>;

export async function run(context: Context): Promise<void> {
  const { args, options, files } = context;
  const least = parseNumber(options.minSqnr);
  check(
    options.minSqnr === undefined || (least !== undefined && Number.isFinite(least)),
    '--min-sqnr must be a number of decibels',
    options.minSqnr,
  );
  const from = sampleSettings(options, SAMPLES, BATCH_VALUES);
  const against = text(options.against);
  const compares = against !== undefined || from.from !== undefined;
  check(
    least === undefined || compares,
    '--min-sqnr needs a comparison',
    'no --against',
    'add --calibration too',
  );
  const constants = constantOptions(options.constant);
  const paths = against === undefined ? [args[0]] : [args[0], against];
  for (const path of paths) await files.reads(path);
  const loaded: Loaded[] = [];
  for (const path of paths) loaded.push(await loadNetwork(files, path, constants));
  const [first, second] = loaded;
  for (const { network } of loaded) checkShapes(sourceOf(network), from.shapes);
  const supports = loaded.map(({ network }) => support(network, from.shapes));
  for (const [i, own] of supports.entries()) await printSupport(context, loaded[i], own);
  const common = {
    model: await describeFile(first),
    against: second ? await describeFile(second) : null,
    nodes: supports[0],
    againstNodes: supports[1] ?? null,
  };
  const refused = supports.reduce((sum, own) => sum + own.refused.length, 0);
  if (refused > 0) {
    await context.writeJson(common);
    const cure = 'cut the network before them, or replace them';
    throw new LloydError('every node must run here', `${refused} that don't`, cure);
  }
  const [float, given] = loaded.map(({ network }) => graphNetwork(network));
  if (!compares) {
    const kinds = layerKinds(float, fuseAnyShape(sourceOf(float), { shapes: from.shapes }));
    printKinds(context, kinds);
    await context.writeJson({ ...common, layers: kinds.map(({ total: _, own: __, ...kind }) => kind) });
    return;
  }
  const cure = 'pass it with --against';
  check(
    !isQuantized(float),
    'the first network must be the float one',
    `${args[0]}, quantized already`,
    cure,
  );
  const samples = await loadSamples(files, float, from, SAMPLES);
  const runtime = await context.runtime();
  const sampled = { signal: context.signal, shapes: samples.shapes };
  if (!given)
    context.note('quantizing to linear 8 bit, by the same samples: --against names a quantized network');
  const other =
    given ??
    (await quantizeModel(runtime, float, {
      ...{ method: 'linear', bits: 8, calibration: samples.feeds },
      ...sampled,
    }));
  context.print();
  context.print(`Run on ${samples.what}, on ${describeAdapter(runtime)}`);
  const progress = createProgress(samples.feeds.length);
  const onProgress = (done: number) => progress.update(done, 'samples');
  const errors = await compareActivations(runtime, float, other, samples.feeds, {
    signal: context.signal,
    onProgress,
  }).finally(() => progress.stop());
  const worst = worstLayer(errors.layers);
  printErrors(context, errors, worst);
  const sizeBytes = { before: first.fileBytes, after: second?.fileBytes ?? modelFileBytes(other) };
  context.print(
    `size ${mebibytes(sizeBytes.before)} MiB before, ${mebibytes(sizeBytes.after)} MiB after` +
      ` (${((100 * sizeBytes.after) / sizeBytes.before).toFixed(1)} %)`,
  );
  const below = least === undefined ? [] : failures(errors, least);
  await context.writeJson({
    adapter: runtime.adapter,
    ...common,
    samples: samples.what,
    layers: errors.layers.map(flattened),
    outputs: errors.outputs,
    worst: worst && { layer: worst.layer, sqnrDb: worst.own!.sqnrDb, cosine: worst.own!.cosine },
    sizeBytes,
    minSqnrDb: least ?? null,
    passed: below.length === 0,
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
  if (below.length === 0) return;
  throw new LloydError(
    `every output, and every layer by itself, must have an SQNR of at least ${least} dB`,
    below.join(', '),
    worst ? `the worst layer is ${worst.layer}: leave it in floats, or give it more bits` : undefined,
  );
}

/** A network's graph in ONNX's operators. */
const sourceOf = (network: Model | QuantizedModel): GraphModel =>
  toGraphModel(isQuantized(network) ? network.model : network);

/** The same with what is quantized between its nodes read as such. */
function graphNetwork(network: Model | QuantizedModel): GraphNetwork {
  const own = asItRuns(network);
  return isQuantized(own) ? { ...own, model: sourceOf(own) } : sourceOf(own);
}

/** Shapes are looked at where they are known: what has no size yet is no reason to refuse a node. */
function support(network: Model | QuantizedModel, shapes: ShapeOptions): NodeSupport {
  const of = (model: GraphModel) => {
    const symbols = model.graph.inputs.flatMap(({ name, shape }) => (name in shapes ? [] : shape.slice(1)));
    const isOpen = symbols.some((dim) => typeof dim === 'string' && !(dim in shapes));
    return supportedNodes(model, isOpen ? {} : { shapes, batch: 1 });
  };
  const own = of(sourceOf(network));
  if (own.refused.length === 0) return own;
  // Some operators on codes run as what they stand for only.
  const run = of(sourceOf(asItRuns(network)));
  return run.refused.length < own.refused.length ? run : own;
}

const describeFile = async ({ path, sha256, fileBytes }: Loaded) => ({
  file: await portablePath(path),
  sha256,
  fileBytes,
});

async function printSupport(context: Context, { path }: Loaded, { total, supported, refused }: NodeSupport) {
  context.print(`${await portablePath(path)}: ${supported} of ${total} nodes run on the GPU`);
  for (const { node, op, domain, attribute, reason } of refused) {
    const operator = domain ? `${domain}.${op}` : op;
    context.print(`  ${node} (${operator})${attribute === undefined ? '' : `, ${attribute}`}: ${reason}`);
  }
}

/** `float32, 4 bit codes`: what a layer computes in. */
const kindOf = ({ dtype, bits }: LayerActivations) => `${dtype}${bits ? ` (${bits} bit weights)` : ''}`;

function printKinds(context: Context, layers: readonly LayerActivations[]): void {
  const counts = new Map<string, number>();
  for (const layer of layers) counts.set(kindOf(layer), (counts.get(kindOf(layer)) ?? 0) + 1);
  for (const [kind, count] of counts) context.print(`${count} layer${count === 1 ? '' : 's'} in ${kind}`);
}

/** The layer whose own error is largest. */
function worstLayer(layers: readonly LayerActivations[]): LayerActivations | undefined {
  const measured = layers.filter(({ own }) => own && own.sqnrDb < Infinity);
  return measured.sort((a, b) => a.own!.sqnrDb - b.own!.sqnrDb)[0];
}

function printErrors(
  context: Context,
  { layers, outputs }: ActivationErrors,
  worst?: LayerActivations,
): void {
  printKinds(context, layers);
  context.print();
  const headings = 'layer, operator, computed in, own SQNR dB, own cosine, SQNR dB, cosine';
  const lines = alignTable(
    columns(headings).map((column, i) => ({ ...column, align: i < 3 ? 'left' : 'right' })),
    layers
      .filter(({ total }) => total)
      .map(({ own, total, ...layer }) => [
        ...[layer.layer, layer.op, kindOf({ ...layer, own, total })],
        ...[decibels(own!.sqnrDb), own!.cosine.toFixed(6), decibels(total!.sqnrDb), total!.cosine.toFixed(6)],
      ]),
  );
  for (const line of lines) context.print(line);
  context.print();
  for (const { name, sqnrDb, cosine, largestError } of outputs) {
    context.print(
      `output ${name}: SQNR ${decibels(sqnrDb)} dB, cosine ${cosine.toFixed(6)}, largest error ${largestError.toExponential(2)}`,
    );
  }
  if (worst) context.print(`worst layer by itself: ${worst.layer}, SQNR ${decibels(worst.own!.sqnrDb)} dB`);
}

/** A layer's figures side by side. */
function flattened({ total, own, ...kind }: LayerActivations) {
  return {
    ...kind,
    ...(total && { sqnrDb: total.sqnrDb, cosine: total.cosine }),
    ...(own && { ownSqnrDb: own.sqnrDb, ownCosine: own.cosine }),
  };
}

/** What has too much noise: `output scores: 12.3 dB`. */
function failures({ layers, outputs }: ActivationErrors, least: number): string[] {
  // No comparison is true of a NaN: it fails.
  const fails = (sqnrDb: number) => !(sqnrDb >= least);
  return [
    ...outputs
      .filter(({ sqnrDb }) => fails(sqnrDb))
      .map(({ name, sqnrDb }) => `output ${name}: ${decibels(sqnrDb)} dB`),
    ...layers
      .filter(({ own }) => own && fails(own.sqnrDb))
      .map(({ layer, own }) => `${layer}: ${decibels(own!.sqnrDb)} dB`),
  ];
}
