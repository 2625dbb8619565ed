import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { type ConvLayer, fuseGraph } from '../lower/fuse.ts';
import { decodeCodebook } from '../lower/layer-codes.ts';
import type { ImageModel } from '../model/graph.ts';
import { kmeansBatch } from '../quantize/kmeans.ts';
import { type CompareRowName, type Comparison, compareModel, labSizeBytes } from '../run/compare.ts';
import { foldedWeights, quantizeModel } from '../run/precision.ts';
import { accuracyPlot } from './accuracy-plot.ts';
import { affordableCalibration, affordableImages, measureSpeeds } from './budget.ts';
import type { Context } from './command.ts';
import { describeAdapter } from './compare.ts';
import { loadImages } from './data.ts';
import { findCommit } from './files.ts';
import { fullyConnectedExample, kmeansExample, linearExample } from './lab-examples.ts';
import { claimReport, type LabSection, sectionText } from './lab-report.ts';
import { imageCount, text } from './options.ts';
import { createProgress } from './progress.ts';
import { layerErrors } from './quantize.ts';
import { histogramGrid } from './svg.ts';
import { columns, decibels, mebibytes, percent, significant, thousands } from './table.ts';
import { loadFloatModel, loadTrainedRows, portablePath } from './weights.ts';

const TEST_IMAGES = 10_000;
const ROWS = [
  'fp32',
  'kmeans-8',
  'kmeans-4',
  'kmeans-2',
  'kmeans-4-qat',
  'kmeans-2-qat',
  'linear-8',
] as const;

/** Top-1 % over published solutions of the lab, on the lab's own weights. */
const PUBLISHED: Partial<Record<CompareRowName, string>> = {
  fp32: '92.95',
  'kmeans-8': '92.73-92.83',
  'kmeans-4': '73.70-83.03',
  'kmeans-2': '10.00-16.23',
  'kmeans-4-qat': '92.47-92.70',
  'kmeans-2-qat': '91.10-91.90',
  'linear-8': '92.80-92.95',
};
const PUBLISHED_MIB: Record<number, number> = { 32: 35.2, 8: 8.8, 4: 4.4, 2: 2.2 };

export async function run(context: Context): Promise<void> {
  const { options } = context;
  const asked = imageCount(options.images);
  const out = text(options.out);
  const weights = await loadFloatModel(context.files, text(options.weights));
  const report = out === undefined ? undefined : await claimReport(context.files, out);
  const model = weights.network;
  const runtime = await context.runtime();
  const heading = `MIT 6.5940, Lab 2 (Quantization), on ${describeAdapter(runtime)}`;
  context.print(heading);
  context.print();
  const source = `Weights: ${await portablePath(weights.path)} (sha256 ${weights.sha256}).`;
  const sections: LabSection[] = [];
  const result = async (comparison?: Comparison) => ({
    ...(comparison ?? { adapter: runtime.adapter, interrupted: true }),
    steps: sections.map(({ title, lines, checks: own }) => ({ title, lines, checks: own ?? [] })),
    commit: await findCommit(),
    date: new Date().toISOString(),
  });
  /** Prints a section and keeps all there are: an interruption loses the one under way. */
  const add = async (section: LabSection) => {
    sections.push(section);
    for (const line of sectionText(section, sections.length)) context.print(line);
    await report?.write([`# ${heading}`, '', source], sections);
    await context.keepJson(await result());
    context.signal.throwIfAborted();
  };

  await add(await kmeansExample(runtime));
  await add(await linearExample(runtime));
  await add(await fullyConnectedExample(runtime));
  await add(sizeSection(model));
  await add(await layerSection(runtime, model));
  await add(scaleSection(model));
  const comparison = await measure(context, runtime, model, weights.path, asked);
  await add(accuracySection(comparison));
  await add(speedSection(comparison));
  await add(tradeOffs(comparison));

  const checks = sections.flatMap((section) => section.checks ?? []);
  const failed = checks.filter(({ passed }) => !passed).length;
  context.print(`${checks.length - failed} checks passed, ${failed} failed`);
  if (report) context.note(`wrote ${report.path}`);
  await context.writeJson(await result(comparison));
  check(failed === 0, 'every check of the lab must pass', `${failed} failed`, 'see the lines marked FAIL');
}

function sizeSection(model: ImageModel): LabSection {
  const rows = Object.entries(PUBLISHED_MIB).map(([bits, published]) => ({ bits: Number(bits), published }));
  return {
    title: 'Model size',
    lines: ['Every parameter, batch norm and biases included, at the target width.'],
    table: {
      columns: columns('bits, size MiB, published MiB'),
      rows: rows.map(({ bits, published }) => [
        String(bits),
        mebibytes(labSizeBytes(model, bits)),
        published.toFixed(2),
      ]),
    },
    checks: rows.map(({ bits, published }) => ({
      name: `${published.toFixed(2)} MiB at ${bits} bit`,
      passed: mebibytes(labSizeBytes(model, bits)) === published.toFixed(2),
    })),
  };
}

function convsOf(model: ImageModel): ConvLayer[] {
  return fuseGraph(model).layers.filter((layer): layer is ConvLayer => layer.kind === 'conv2d');
}

/** Weights of every layer by k-means at 4 and 2 bits, with the histograms the lab draws. */
async function layerSection(runtime: Runtime, model: ImageModel): Promise<LabSection> {
  const convs = convsOf(model);
  const histograms = [
    { bits: 32, panels: convs.map(({ name, weight }) => ({ title: name, values: weight })) },
  ];
  const sqnr: Record<number, string[]> = {};
  for (const bits of [4, 2]) {
    const quantized = await quantizeModel(runtime, model, { method: 'kmeans', bits });
    sqnr[bits] = layerErrors(quantized).map((layer) => decibels(layer.sqnrDb));
    const panels = convs.map(({ name }) => {
      const layer = quantized.layers.get(name);
      if (layer?.method !== 'kmeans') throw new Error(`${name} was not clustered`);
      return { title: name, values: decodeCodebook(layer) };
    });
    histograms.push({ bits, panels });
  }
  const inputs = convs.map(({ weight }) => ({ weights: weight }));
  const lloyd = await kmeansBatch(runtime, inputs, { bits: 4, init: 'linear' });
  const optimal = await kmeansBatch(runtime, inputs, { bits: 4, init: 'optimal' });
  return {
    title: 'K-means of every layer',
    lines: [
      'SQNR of the weights, in dB, by the 1-D optimum; and the squared error of Lloyd’s algorithm at 4 bit, started from',
      'evenly spaced centroids, over the optimum’s.',
    ],
    table: {
      columns: columns('layer, weights, 4 bit dB, 2 bit dB, Lloyd / optimum'),
      rows: convs.map(({ name, weight }, i) => [
        name,
        thousands(weight.length),
        sqnr[4][i],
        sqnr[2][i],
        (lloyd[i].inertia / optimal[i].inertia).toFixed(3),
      ]),
    },
    checks: [
      {
        name: 'the optimum is never above Lloyd',
        passed: lloyd.every(({ inertia }, i) => optimal[i].inertia <= inertia * (1 + 1e-9)),
      },
    ],
    pictures: histograms.map(({ bits, panels }) => ({
      file: `histogram-${bits}bit.svg`,
      svg: histogramGrid(bits === 32 ? 'Weights, 32 bit' : `Weights, k-means ${bits} bit`, panels),
    })),
  };
}

/** Symmetric scales a channel of the weights with batch norm folded in, as the integer-only model has them. */
function scaleSection(model: ImageModel): LabSection {
  const rows = convsOf(model).map((layer) => {
    const folded = foldedWeights(layer);
    const row = folded.length / layer.scale.length;
    const scales = Array.from(layer.scale, (_, o) => {
      let most = 0;
      for (let i = o * row; i < (o + 1) * row; i++) most = Math.max(most, Math.abs(folded[i]));
      return Math.max(most, 5e-7) / 127;
    }).sort((a, b) => a - b);
    const [low, middle, high] = [scales[0], scales[scales.length >> 1], scales[scales.length - 1]];
    return [
      layer.name,
      String(scales.length),
      ...[low, middle, high].map((s) => s.toExponential(2)),
      (high / low).toFixed(1),
    ];
  });
  return {
    title: 'Per-channel scales of the int8 weights',
    lines: ['One scale a tensor would waste most of the range of the channels with the smallest weights.'],
    table: { columns: columns('layer, channels, least, median, greatest, ratio'), rows },
  };
}

async function measure(
  context: Context,
  runtime: Runtime,
  model: ImageModel,
  path: string,
  asked: number | undefined,
): Promise<Comparison> {
  const trained = await loadTrainedRows(context.files, path);
  const data = await loadImages(context.files, Math.min(asked ?? TEST_IMAGES, TEST_IMAGES), 256);
  const perImage = data.test.images.length / data.test.count;
  let images = data.test.count;
  let calibration = 256;
  if (asked === undefined) {
    const { profile } = runtime.adapter;
    const speeds = await measureSpeeds(runtime, model, data.test.images);
    const networks = ROWS.filter((name) => !name.endsWith('-qat') || trained[name]);
    images = affordableImages(profile, speeds, { float: networks.length - 1, integer: 1 }, 32);
    calibration = affordableCalibration(profile, speeds);
  }
  const progress = createProgress(ROWS.length * images);
  let finished = 0;
  try {
    return await compareModel(
      runtime,
      model,
      data.test.images.subarray(0, images * perImage),
      data.test.labels.subarray(0, images),
      {
        calibration: data.calibration.subarray(0, calibration * perImage),
        rows: ROWS,
        trained,
        requantize: 'lab',
        signal: context.signal,
        onProgress: ({ row, done }) => progress.update(finished * images + done, row),
        onRow: () => finished++,
      },
    );
  } finally {
    progress.stop();
  }
}

function accuracySection({ rows, images }: Comparison): LabSection {
  return {
    title: 'Accuracy',
    lines: [
      `Top-1 on ${thousands(images)} test images, with the 95 % interval, beside published solutions on the lab's own weights.`,
      "linear-8 makes the lab's choices: int8 logits, an average pool that truncates.",
    ],
    table: {
      columns: columns('precision, accuracy %, 95 % interval, agrees %, SQNR dB, size MiB, published %'),
      rows: rows.map((row) => [
        row.name,
        row.status === 'ok' ? percent(row.accuracy) : row.status,
        row.status === 'ok' ? `${percent(row.accuracyLow, 1)}-${percent(row.accuracyHigh, 1)}` : '-',
        percent(row.agreement),
        decibels(row.logitSqnrDb),
        mebibytes(row.sizeBytes),
        PUBLISHED[row.name] ?? '-',
      ]),
    },
    pictures: [{ file: 'accuracy.svg', svg: accuracyPlot('Accuracy over size', rows) }],
  };
}

function speedSection({ rows }: Comparison): LabSection {
  const base = rows.find(({ name }) => name === 'fp32')?.imagesPerSecond;
  return {
    title: 'Speed and memory',
    lines: ['On this adapter, in this run.'],
    table: {
      columns: columns('precision, images/s, of fp32, GPU MiB, file MiB'),
      rows: rows
        .filter(({ status }) => status === 'ok')
        .map((row) => [
          row.name,
          significant(row.imagesPerSecond),
          base && row.imagesPerSecond ? `${(row.imagesPerSecond / base).toFixed(2)} x` : '-',
          mebibytes(row.gpuBytes),
          mebibytes(row.fileBytes),
        ]),
    },
  };
}

/** The lab's last question, answered by what was measured here. */
function tradeOffs({ rows }: Comparison): LabSection {
  const of = (name: CompareRowName) => rows.find((row) => row.name === name && row.status === 'ok');
  const [fp32, four, two, twoQat, int8] = (
    ['fp32', 'kmeans-4', 'kmeans-2', 'kmeans-2-qat', 'linear-8'] as const
  ).map(of);
  const lines: string[] = [];
  if (four && two) {
    lines.push(
      `K-means fits its levels to the weights: ${percent(four.accuracy, 1)} % at 4 bit without training, ` +
        `${percent(two.accuracy, 1)} % at 2${twoQat ? ` and ${percent(twoQat.accuracy, 1)} % at 2 after fine-tuning` : ''}.`,
    );
  }
  if (fp32 && four && int8 && fp32.imagesPerSecond && four.imagesPerSecond && int8.imagesPerSecond) {
    lines.push(
      `Its arithmetic stays float, with a look-up a weight: ${(four.imagesPerSecond / fp32.imagesPerSecond).toFixed(2)} times ` +
        `fp32's speed here. Linear quantization computes in integers: ${(int8.imagesPerSecond / fp32.imagesPerSecond).toFixed(2)} times,`,
      `in ${mebibytes(int8.gpuBytes)} MiB of GPU memory for fp32's ${mebibytes(fp32.gpuBytes)}, at ${percent(int8.agreement, 1)} % of its decisions.`,
    );
  }
  return { title: 'Trade-offs', lines };
}
