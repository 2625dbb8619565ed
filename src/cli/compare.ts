import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import {
  type CompareRow,
  type CompareRowName,
  type Comparison,
  compareModel,
  compareRowNames,
} from '../model/compare.ts';
import type { Model } from '../model/graph.ts';
import type { QuantizedModel } from '../model/precision.ts';
import { requantizeRules } from '../quantize/requantize.ts';
import { affordableCalibration, affordableImages, measureSpeeds } from './budget.ts';
import type { Context } from './command.ts';
import { comparisonLines, notesOn, recordedLines, spread } from './compare-table.ts';
import { loadImages } from './data.ts';
import { findCommit } from './files.ts';
import { choice, imageCount, integer, list, text } from './options.ts';
import { createProgress } from './progress.ts';
import { findRecorded } from './recorded.ts';
import { recovering } from './recover.ts';
import { percent, significant, thousands } from './table.ts';
import { tuning } from './tuning.ts';
import { loadFloatModel, loadTrainedRows, portablePath } from './weights.ts';

const TEST_IMAGES = 10_000;
const CALIBRATION_IMAGES = 256;
/** Below this the interval is wide enough that the recorded figures say more. */
const FEW_IMAGES = 1000;

/** What `--json` writes: the comparison, and what it takes to tell two of them apart. */
export interface CompareReport extends Comparison {
  calibrationImages: number;
  batch: number;
  requantize: string;
  weights: { file: string; sha256: string };
  commit: string | null;
  date: string;
}

export async function run(context: Context): Promise<void> {
  const { options } = context;
  const asked = imageCount(options.images);
  const batch = integer('--batch', options.batch) ?? 32;
  const requantize = choice('--requantize', options.requantize, requantizeRules) ?? 'ort-f32';
  const rows = readRows(list(options.rows));
  const tune = tuning(context);
  const weights = await loadFloatModel(context.files, text(options.weights));
  const trained = await loadTrainedRows(context.files, weights.path);
  const device = await recovering(context);
  context.print(
    `Comparing ${rows.length} precision${rows.length === 1 ? '' : 's'} of a VGG on CIFAR-10, on ${describeAdapter(device.runtime)}`,
  );

  const calibrates = rows.some(
    (name) => name.startsWith('linear-') && !trained[name] && !name.endsWith('-qat'),
  );
  const most = Math.min(asked ?? TEST_IMAGES, TEST_IMAGES);
  const data = await loadImages(context.files, most, calibrates ? CALIBRATION_IMAGES : 0);
  const size = await device.attempt((runtime) =>
    chooseSize(context, runtime, weights.network, data, { asked, batch, rows, trained }),
  );
  const perImage = data.test.images.length / data.test.count;
  const images = data.test.images.subarray(0, size.images * perImage);
  const labels = data.test.labels.subarray(0, size.images);
  context.print(
    `${thousands(size.images)} test image${size.images === 1 ? '' : 's'}${size.chosen ? `, ${size.chosen}` : ''}: ` +
      `accuracies to within ${spread(size.images)} points (95 %)`,
  );
  context.print();

  const comparison = await measureRows(context, device.runtime, weights.network, images, labels, {
    calibration: data.calibration.subarray(0, size.calibration * perImage),
    rows,
    trained,
    batch: Math.min(batch, size.images),
    requantize,
    tune,
    onLost: device.renew,
  });
  for (const line of comparisonLines(comparison)) context.print(line);
  for (const line of notesOn(comparison)) context.print(line);
  const recorded =
    size.images < FEW_IMAGES ? await findRecorded(weights.sha256, requantize, FEW_IMAGES) : null;
  if (recorded) for (const line of recordedLines(recorded, rows)) context.print(line);
  const report: CompareReport = {
    ...comparison,
    calibrationImages: size.calibration,
    batch: Math.min(batch, size.images),
    requantize,
    weights: { file: await portablePath(weights.path), sha256: weights.sha256 },
    commit: await findCommit(),
    date: new Date().toISOString(),
  };
  await context.writeJson(report);
}

/** `lavapipe (llvmpipe (LLVM 19.1.7, 256 bits), system software)`: the name people know first. */
export function describeAdapter({ adapter }: Runtime): string {
  const kind = {
    caller: 'your device',
    hardware: 'hardware',
    'system-software': "the system's software Vulkan",
    swiftshader: 'software',
    browser: 'browser',
  }[adapter.source];
  return adapter.software ? `${adapter.software} (${adapter.name}; ${kind})` : `${adapter.name} (${kind})`;
}

function readRows(names: readonly string[] | undefined): CompareRowName[] {
  for (const name of names ?? []) {
    check(
      (compareRowNames as readonly string[]).includes(name),
      `--rows are ${compareRowNames.join(', ')}`,
      name,
    );
  }
  return compareRowNames.filter((name) => name === 'fp32' || !names || names.includes(name));
}

interface Wanted {
  asked: number | undefined;
  batch: number;
  rows: readonly CompareRowName[];
  trained: Partial<Record<CompareRowName, QuantizedModel>>;
}

/** How many images, and why so many where the user did not say. */
async function chooseSize(
  context: Context,
  runtime: Runtime,
  model: Model,
  { test, calibration }: Awaited<ReturnType<typeof loadImages>>,
  { asked, batch, rows, trained }: Wanted,
): Promise<{ images: number; calibration: number; chosen: string }> {
  const perImage = test.images.length / test.count;
  const calibrationCount = calibration.length / perImage;
  const { profile } = runtime.adapter;
  // Asked for by number, the result must not depend on how busy the machine is.
  if (profile === 'gpu' || asked !== undefined) {
    return { images: test.count, calibration: calibrationCount, chosen: '' };
  }
  const speeds = await measureSpeeds(runtime, model, test.images);
  context.signal.throwIfAborted();
  const measured = rows.filter((name) => !name.endsWith('-qat') || trained[name]);
  const integer = measured.filter((name) => name.startsWith('linear-')).length;
  const images = affordableImages(profile, speeds, { float: measured.length - integer, integer }, batch);
  const chosen =
    images < test.count
      ? `about 100 seconds at the ${significant(speeds.float)} images/s (fp32) and ` +
        `${significant(speeds.integer)} (int8) measured here; --images N takes more`
      : '';
  return { images, calibration: Math.min(calibrationCount, affordableCalibration(profile, speeds)), chosen };
}

async function measureRows(
  context: Context,
  runtime: Runtime,
  model: Model,
  images: Uint8Array,
  labels: Uint8Array,
  options: Omit<Parameters<typeof compareModel>[4], 'onRow' | 'onProgress' | 'signal'>,
): Promise<Comparison> {
  const rows = options.rows as readonly CompareRowName[];
  const progress = createProgress(rows.length * labels.length);
  let finished = 0;
  let started = performance.now();
  progress.update(0, rows[0]);
  try {
    return await compareModel(runtime, model, images, labels, {
      ...options,
      signal: context.signal,
      onProgress: ({ row, done }) => progress.update(finished * labels.length + done, row),
      onRow(row) {
        finished++;
        progress.say(finishedLine(row, (performance.now() - started) / 1000));
        started = performance.now();
        if (finished < rows.length) progress.update(finished * labels.length, rows[finished]);
      },
    });
  } finally {
    progress.stop();
  }
}

function finishedLine(row: CompareRow, seconds: number): string {
  if (row.status !== 'ok') return `  ${row.name}: ${row.status}`;
  return `  ${row.name}: ${percent(row.accuracy, 1)} % in ${seconds.toFixed(1)} s`;
}
