import { requantizeRules } from '../conv/requantize.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ImageModel } from '../model/graph.ts';
import type { QuantizedModel } from '../model/quantized-model.ts';
import {
  type CompareOptions,
  type CompareRow,
  type CompareRowName,
  type Comparison,
  compareModel,
  compareRowNames,
} from '../run/compare.ts';
import { affordableCalibration, affordableImages, measureSpeeds } from './budget.ts';
import type { Context } from './command.ts';
import type { CompareReport } from './compare-file.ts';
import { merge } from './compare-merge.ts';
import {
  type CompareRequest,
  checkAdapter,
  checkEarlier,
  type Keeper,
  keeping,
  readEarlier,
  settingsOf,
  whereIs,
} from './compare-resume.ts';
import { comparisonLines, notesOn, recordedLines, spread } from './compare-table.ts';
import { loadImages } from './data.ts';
import { findCommit } from './files.ts';
import { choice, imageCount, integer, list, TEST_IMAGES, text } from './options.ts';
import { createProgress } from './progress.ts';
import { findRecorded } from './recorded.ts';
import { recovering } from './recover.ts';
import { readShard, shardOf, shardRange } from './shard.ts';
import { percent, significant, thousands } from './table.ts';
import { tuning } from './tuning.ts';
import { loadFloatModel, loadTrainedRows, portablePath } from './weights.ts';

const CALIBRATION_IMAGES = 256;
/** Below this the interval is wide enough that the recorded figures say more. */
const FEW_IMAGES = 1000;

export async function run(context: Context): Promise<void> {
  const { options, args } = context;
  if (options.merge !== undefined) return merge(context);
  check(args.length === 0, 'compare takes no arguments', args.join(' '), 'see lloyd compare --help');
  const given = readRequest(context);
  const earlier = await readEarlier(context);
  const request = earlier ? settingsOf(earlier, given) : given;
  const { batch = 32, requantize = 'ort-f32', rows = compareRowNames, part, tune } = request;
  const asked = request.images ?? (part && TEST_IMAGES);
  const shard = part && shardOf(part, asked!);
  const weights = await loadFloatModel(context.files, text(options.weights));
  const trained = await loadTrainedRows(context.files, weights.path);
  if (earlier) checkEarlier(earlier, weights, trained);
  if (earlier && !earlier.report.partial) {
    context.note(`${earlier.path} is of a run that has ended: nothing is left to do`);
    await conclude(context, earlier.report);
    return;
  }
  const device = await recovering(context);
  if (earlier) checkAdapter(earlier, device.runtime);
  context.print(
    `Comparing ${rows.length} precision${rows.length === 1 ? '' : 's'} of a VGG on CIFAR-10, on ${describeAdapter(device.runtime)}`,
  );

  const calibrates = rows.some((name) => name.startsWith('linear-') && !name.endsWith('-qat'));
  const calibration = earlier?.report.calibrationImages ?? (calibrates ? CALIBRATION_IMAGES : 0);
  const data = await loadImages(context.files, asked ?? TEST_IMAGES, calibration);
  const size = await device.attempt((runtime) =>
    chooseSize(context, runtime, weights.network, data, { asked, batch, rows, trained }),
  );
  const { first, count } = shard ? shardRange(shard) : { first: 0, count: size.images };
  const perImage = data.test.images.length / data.test.count;
  const images = data.test.images.subarray(first * perImage, (first + count) * perImage);
  const labels = data.test.labels.subarray(first, first + count);
  const which = shard ? ` (part ${shard.index}/${shard.of} of ${thousands(shard.total)})` : '';
  context.print(
    `${thousands(count)} test image${count === 1 ? '' : 's'}${which}${size.chosen ? `, ${size.chosen}` : ''}: ` +
      `accuracies to within ${spread(count)} points (95 %)`,
  );
  if (earlier?.report.partial) {
    const { rows: done, partial } = earlier.report;
    context.note(`going on with ${earlier.path} after ${whereIs({ rows: done, current: partial.current })}`);
  }
  context.print();

  const settings = {
    calibrationImages: size.calibration,
    // The whole's, in a part too: another batch may take other kernels, whose float logits end in other bits.
    batch: Math.min(batch, size.images),
    requantize,
    weights: { file: await portablePath(weights.path), sha256: weights.sha256 },
    ...(shard && { shard }),
    ...(tune && { tuned: true as const }),
    commit: await findCommit(),
  };
  const model = weights.network.graph.name;
  const describe = (rows: CompareReport['rows']): CompareReport => {
    const { adapter } = device.runtime;
    return { adapter, images: count, model, rows, ...settings, date: new Date().toISOString() };
  };
  const keeper = keeping(context, earlier, rows, describe);
  const comparison = await measureRows(context, device.runtime, weights.network, images, labels, keeper, {
    calibration: data.calibration.subarray(0, size.calibration * perImage),
    rows,
    trained,
    batch: settings.batch,
    requantize,
    tune,
    onLost: device.renew,
  });
  await conclude(context, describe(keeper.withHashes(comparison.rows)));
}

/** Prints a report, beside the recorded one where that says more, and writes it. */
async function conclude(context: Context, report: CompareReport): Promise<void> {
  for (const line of [...comparisonLines(report), ...notesOn(report)]) context.print(line);
  const { images, weights, requantize, rows } = report;
  const recorded = images < FEW_IMAGES ? await findRecorded(weights.sha256, requantize, FEW_IMAGES) : null;
  const names = rows.map(({ name }) => name);
  if (recorded) for (const line of recordedLines(recorded, names)) context.print(line);
  await context.writeJson(report);
}

/** The options, checked by themselves. */
function readRequest(context: Context): CompareRequest {
  const { options } = context;
  const asked = imageCount(options.images);
  const request = {
    images: asked && Math.min(asked, TEST_IMAGES),
    batch: integer('--batch', options.batch),
    requantize: choice('--requantize', options.requantize, requantizeRules),
    rows: options.rows === undefined ? undefined : readRows(list(options.rows)),
    part: readShard(options.shard),
    tune: tuning(context),
  };
  check(
    !(request.tune && request.part),
    '--shard leaves the choice of kernels to the library, as tuned ones may end in other bits',
    '--tune',
    'leave it out',
  );
  return request;
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
  model: ImageModel,
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
  model: ImageModel,
  images: Uint8Array,
  labels: Uint8Array,
  { resume, onNetwork, onState, keepAfter }: Keeper,
  options: Pick<
    CompareOptions,
    'calibration' | 'rows' | 'trained' | 'batch' | 'requantize' | 'tune' | 'onLost'
  >,
): Promise<Comparison> {
  const before = new Set(resume?.rows.map(({ name }) => name));
  const rows = (options.rows as readonly CompareRowName[]).filter((name) => !before.has(name));
  const progress = createProgress(rows.length * labels.length);
  let finished = 0;
  let started = performance.now();
  progress.update(0, rows[0]);
  try {
    return await compareModel(runtime, model, images, labels, {
      ...options,
      ...{ resume, onNetwork, onState },
      signal: context.signal,
      onProgress: ({ row, done }) => progress.update(finished * labels.length + done, row),
      onRow(row) {
        finished++;
        progress.say(finishedLine(row, (performance.now() - started) / 1000));
        started = performance.now();
        if (finished < rows.length) progress.update(finished * labels.length, rows[finished]);
      },
    });
  } catch (error) {
    throw await keepAfter(error);
  } finally {
    progress.stop();
  }
}

function finishedLine(row: CompareRow, seconds: number): string {
  if (row.status !== 'ok') return `  ${row.name}: ${row.status}`;
  return `  ${row.name}: ${percent(row.accuracy, 1)} % in ${seconds.toFixed(1)} s`;
}
